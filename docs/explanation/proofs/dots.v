(** Curves and losses on a lattice of dots, and the certificate as a whole, in real arithmetic. *)
From Coq Require Import Reals Lra Lia Psatz List ZArith.
From Proofs Require Import sums curves block lattice composition.
Import ListNotations.
Open Scope R_scope.

(** * A loss that is shared between two dots *)

(** A loss, its chance; the dots below and above it with their shares. *)
Record share := Share { loss : R; whole : R; low : R; at_low : R; top : R; at_top : R }.

(** Both its chance under the one table and that under the other are kept. *)
Definition keeps_both (s : share) : Prop :=
  0 <= at_low s /\ 0 <= at_top s /\ at_low s + at_top s = whole s /\
  at_low s * exp (- low s) + at_top s * exp (- top s) = whole s * exp (- loss s).

Lemma one_share_costs_more B s e : convex_in_exp B -> keeps_both s ->
  whole s * B (e - loss s) <= at_low s * B (e - low s) + at_top s * B (e - top s).
Proof.
  intros HB (Hl & Ht & Hs & Hq). destruct s as [l p a pa b pb]. simpl in *.
  assert (Hp : 0 <= p) by lra. destruct Hp as [Hp|Hp].
  - set (w := pa / p).
    assert (Hw : 0 <= w <= 1).
    { unfold w, Rdiv. assert (0 < / p) by now apply Rinv_0_lt_compat.
      split; [nra|]. apply Rmult_le_reg_r with p; [assumption|].
      rewrite Rmult_assoc, Rinv_l; lra. }
    assert (C : B (e - l) <= w * B (e - a) + (1 - w) * B (e - b)).
    { apply HB; [assumption|]. rewrite !exp_minus_loss.
      apply Rmult_eq_reg_l with p; [|lra]. unfold w.
      transitivity (exp e * (pa * exp (- a) + pb * exp (- b))); [rewrite Hq; ring|].
      replace pb with (p - pa) by lra. field. lra. }
    apply Rmult_le_compat_l with (r := p) in C; [|lra].
    eapply Rle_trans; [exact C|]. right. unfold w. replace pb with (p - pa) by lra. field. lra.
  - assert (pa = 0) as -> by lra. assert (pb = 0) as -> by lra. rewrite <- Hp. lra.
Qed.

Definition wholes (l : list share) : dots := map (fun s => (loss s, whole s)) l.
Definition shares (l : list share) : dots :=
  flat_map (fun s => [(low s, at_low s); (top s, at_top s)]) l.

(** Sharing never lowers what is composed of the losses, whatever else is released. *)
Theorem sharing_costs_more B l infinite e :
  convex_in_exp B -> (forall s, In s l -> keeps_both s) ->
  composed (wholes l) infinite B e <= composed (shares l) infinite B e.
Proof.
  intros HB H. unfold composed. apply Rplus_le_compat_l.
  induction l as [|s l IH]; simpl; [lra|].
  pose proof (one_share_costs_more B s e HB (H s (or_introl eq_refl))).
  assert (forall s, In s l -> keeps_both s) as H' by (intros; apply H; now right).
  pose proof (IH H'). unfold wholes, shares in *. lra.
Qed.

(** * A curve that is given at the dots *)

Section Connect.
Variable h : R.
Hypothesis h_positive : 0 < h.
Variables first last : Z.
Hypothesis some : (first <= last)%Z.
Variable l : dots.
Variable infinite : R.
Hypothesis chances : forall x, In x l -> 0 <= snd x.
Hypothesis on_dots : forall x, In x l -> exists k, (first <= k <= last)%Z /\ fst x = point h k.

Lemma delta_of_least e : infinite <= delta_of l infinite e.
Proof.
  unfold delta_of. assert (0 <= total (fun x => Rmax 0 (1 - exp (e - x))) l); [|lra].
  clear on_dots. induction l as [|[x p] k IH]; simpl; [lra|].
  pose proof (chances (x, p) (or_introl eq_refl)). simpl in *.
  pose proof (Rmax_l 0 (1 - exp (e - x))).
  assert (0 <= total (fun x => Rmax 0 (1 - exp (e - x))) k)
    by (apply IH; intros; apply chances; now right).
  nra.
Qed.

(** Between two neighbouring dots the curve of the dots is linear in e^eps. *)
Lemma linear_between k e w : point h k <= e <= point h (k + 1) ->
  exp e = w * exp (point h k) + (1 - w) * exp (point h (k + 1)) ->
  delta_of l infinite e
  = w * delta_of l infinite (point h k) + (1 - w) * delta_of l infinite (point h (k + 1)).
Proof.
  intros He Hw. unfold delta_of.
  assert (total (fun x => Rmax 0 (1 - exp (e - x))) l
          = w * total (fun x => Rmax 0 (1 - exp (point h k - x))) l
            + (1 - w) * total (fun x => Rmax 0 (1 - exp (point h (k + 1) - x))) l); [|lra].
  clear chances. induction l as [|[x p] r IH]; simpl; [ring|].
  rewrite IH by (intros; apply on_dots; now right).
  destruct (on_dots (x, p) (or_introl eq_refl)) as (j & _ & Hj). simpl in Hj.
  destruct (Z_le_gt_dec j k) as [L|G].
  - assert (x <= point h k)
      by (rewrite Hj; unfold point; apply Rmult_le_compat_r; [lra|now apply IZR_le]).
    assert (N : forall y, x <= y -> Rmax 0 (1 - exp (y - x)) = 0).
    { intros y Hy. apply Rmax_left.
      assert (1 <= exp (y - x)) by (rewrite <- exp_0; apply exp_le; lra). lra. }
    rewrite !N by lra. ring.
  - assert (point h (k + 1) <= x)
      by (rewrite Hj; unfold point; apply Rmult_le_compat_r; [lra|apply IZR_le; lia]).
    assert (N : forall y, y <= x -> Rmax 0 (1 - exp (y - x)) = 1 - exp y * exp (- x)).
    { intros y Hy. rewrite <- exp_minus_loss. apply Rmax_right.
      assert (exp (y - x) <= 1) by (rewrite <- exp_0; apply exp_le; lra). lra. }
    rewrite !N by lra. rewrite Hw. ring.
Qed.

(** Below all dots it is linear as well. *)
Lemma linear_below e : e <= point h first ->
  delta_of l infinite e = infinite + total (fun _ => 1) l
                          - exp (e - point h first) * (infinite + total (fun _ => 1) l
                                                       - delta_of l infinite (point h first)).
Proof.
  intros He. unfold delta_of.
  assert (total (fun x => Rmax 0 (1 - exp (e - x))) l
          = total (fun _ => 1) l - exp (e - point h first) *
              (total (fun _ => 1) l - total (fun x => Rmax 0 (1 - exp (point h first - x))) l));
    [|lra].
  clear chances. induction l as [|[x p] r IH]; simpl; [ring|].
  rewrite IH by (intros; apply on_dots; now right).
  destruct (on_dots (x, p) (or_introl eq_refl)) as (j & [Hf _] & Hj). simpl in Hj.
  assert (point h first <= x)
    by (rewrite Hj; unfold point; apply Rmult_le_compat_r; [lra|now apply IZR_le]).
  assert (N : forall y, y <= x -> Rmax 0 (1 - exp (y - x)) = 1 - exp (y - x)).
  { intros y Hy. apply Rmax_right.
    assert (exp (y - x) <= 1) by (rewrite <- exp_0; apply exp_le; lra). lra. }
  rewrite !N by lra.
  replace (e - x) with ((e - point h first) + (point h first - x)) by ring.
  rewrite exp_plus. ring.
Qed.

(** Connecting the dots: a curve that is nowhere below [D] at the dots is nowhere below it. *)
Theorem connecting_the_dots (D : curve) :
  (forall k, (first <= k <= last)%Z -> D (point h k) <= delta_of l infinite (point h k)) ->
  D (point h last) <= infinite -> 1 <= infinite + total (fun _ => 1) l ->
  forall e, D e <= delta_of l infinite e.
Proof.
  intros A Hlast Hone e.
  destruct (Rle_dec (point h last) e) as [L|L].
  { eapply Rle_trans; [apply delta_falls; exact L|].
    eapply Rle_trans; [exact Hlast|apply delta_of_least]. }
  destruct (Rle_dec (point h first) e) as [F|F].
  - destruct (archimed (e / h)) as [U1 U2]. set (k := (up (e / h) - 1)%Z).
    assert (Hk : IZR k = IZR (up (e / h)) - 1) by (unfold k; rewrite minus_IZR; reflexivity).
    assert (Eh : e / h * h = e) by (field; lra).
    assert (P1 : point h k <= e) by (unfold point; rewrite Hk; nra).
    assert (P2 : e < point h (k + 1)) by (unfold point; rewrite plus_IZR, Hk; nra).
    assert (K1 : (k < last)%Z).
    { apply lt_IZR. apply Rmult_lt_reg_r with h; [assumption|]. unfold point in *. lra. }
    assert (K2 : (first < k + 1)%Z).
    { apply lt_IZR. apply Rmult_lt_reg_r with h; [assumption|]. unfold point in *. lra. }
    set (x := exp (point h k)). set (y := exp (point h (k + 1))).
    assert (Hxy : x < y) by (apply exp_increasing; lra).
    assert (Hx : x <= exp e) by (apply exp_le; lra).
    assert (Hy : exp e < y) by (apply exp_increasing; lra).
    set (w := (y - exp e) / (y - x)).
    assert (Hd : 0 < / (y - x)) by (apply Rinv_0_lt_compat; lra).
    assert (Hw : 0 <= w <= 1).
    { unfold w, Rdiv. split; [nra|]. apply Rmult_le_reg_r with (y - x); [lra|].
      rewrite Rmult_assoc, Rinv_l; lra. }
    assert (E : exp e = w * x + (1 - w) * y) by (unfold w; field; lra).
    rewrite (linear_between k e w ltac:(lra) E).
    pose proof (delta_convex D _ _ e w Hw E).
    pose proof (A k ltac:(lia)). pose proof (A (k + 1)%Z ltac:(lia)). nra.
  - rewrite linear_below by lra.
    set (f := point h first) in *. set (S := infinite + total (fun _ => 1) l) in *.
    pose proof (A first ltac:(lia)) as Af. fold f in Af.
    set (v := exp (e - f)).
    assert (Hv : 0 < v) by apply exp_pos.
    assert (Hv1 : v < 1) by (rewrite <- exp_0; apply exp_increasing; lra).
    assert (C : D e <= 1 - v * (1 - D f)).
    { destruct (Rle_dec (D e) (1 - v * (1 - D f))) as [G|G]; [assumption|exfalso].
      set (gap := D e - (1 - v * (1 - D f))). assert (Hg : 0 < gap) by (unfold gap; lra).
      pose proof (delta_range D e). pose proof (delta_range D f).
      set (z := Rmin (gap / 2) (v / 2)).
      assert (Hz : 0 < z) by (apply Rmin_glb_lt; lra).
      assert (Hz1 : z <= gap / 2) by apply Rmin_l. assert (Hz2 : z <= v / 2) by apply Rmin_r.
      set (w := (1 - v) / (1 - z)).
      assert (Hi : 0 < / (1 - z)) by (apply Rinv_0_lt_compat; lra).
      assert (Hw : 0 <= w <= 1).
      { unfold w, Rdiv. split; [nra|]. apply Rmult_le_reg_r with (1 - z); [lra|].
        rewrite Rmult_assoc, Rinv_l; lra. }
      assert (E : exp e = w * exp (f + ln z) + (1 - w) * exp f).
      { rewrite exp_plus, exp_ln by assumption.
        replace (exp e) with (exp f * v) by (unfold v; rewrite <- exp_plus; f_equal; ring).
        unfold w. field. lra. }
      pose proof (delta_convex D _ _ e w Hw E) as X.
      pose proof (delta_range D (f + ln z)).
      assert (W : w * (1 - z) = 1 - v) by (unfold w; field; lra).
      assert (X1 : D e - D f <= w * (1 - D f)) by nra.
      assert (X2 : (D e - D f) * (1 - z) <= (1 - v) * (1 - D f)).
      { apply Rmult_le_compat_r with (r := 1 - z) in X1; [|lra].
        replace (w * (1 - D f) * (1 - z)) with ((1 - v) * (1 - D f)) in X1
          by (rewrite <- W; ring). exact X1. }
      assert (X3 : (D e - D f) * z <= z) by nra.
      unfold gap in *. lra. }
    nra.
Qed.

End Connect.

(** * The certificate *)

(** All of it: events before of curve [B], on any space; [count] selections of range [E], each
    chosen by whoever has seen what was before; anything of curve [D], in both directions, after.
    [after] is nowhere below [D] at 0, h, ..., the recursion on the lattice starts there, and the
    dots are nowhere below what it computes. Then what is composed of the dots and [B] is a
    privacy curve of the whole sequence. *)
Theorem certificate {Y} {M : measurable Y} (P Q : expectation M) (B : R -> R)
  {X} h steps size (E : posreal) count (D : curve) after l infinite
  (r : Y -> run X) (s : Y -> test X) :
  0 < h -> (0 < size)%nat -> E <= INR steps * h ->
  symmetric D -> above h size after D ->
  let last := Z.of_nat (size - 1) in
  let values := extended h size (computed h steps size after count) in
  falling l ->
  (forall x, In x l -> exists k, (- last <= k <= last)%Z /\ fst x = point h k) ->
  (forall k, (- last <= k <= last)%Z -> values k <= delta_of l infinite (point h k)) ->
  values last <= infinite -> 1 <= infinite + total (fun _ => 1) l ->
  curve_of P Q B ->
  (forall y, follows (repeat E count) D (r y)) ->
  M (fun y => chance (r y) (s y)) -> M (fun y => other_chance (r y) (s y)) ->
  (forall y, 0 <= other_chance (r y) (s y)) ->
  forall e, P (fun y => chance (r y) (s y)) - exp e * Q (fun y => other_chance (r y) (s y))
            <= composed l infinite B e.
Proof.
  intros Hh Hsize HE HS HA last values Hl Hon Hvalues Hlast Hone HB HF Ma Mb Nb.
  assert (V : forall k, block (repeat E count) D (point h k) <= values k).
  { intros k. apply (extended_is_above h Hh size Hsize); [now apply block_symmetric|].
    now apply lattice_is_above. }
  eapply (whole_sequence P Q B HB (repeat E count) D); try eassumption.
  apply (connecting_the_dots h Hh (- last) last ltac:(lia)).
  - clear - Hl. induction l as [|x l IH]; intros z Hz; [contradiction|].
    destruct Hl as (Hp & _ & Hl). destruct Hz as [<-|Hz]; [assumption|now apply IH].
  - assumption.
  - intros k Hk. eapply Rle_trans; [apply V|now apply Hvalues].
  - eapply Rle_trans; [apply V|assumption].
  - assumption.
Qed.

(** The same with the two tables exchanged. *)
Theorem certificate_in_both_directions {Y} {M : measurable Y} (P Q : expectation M) (B : R -> R)
  {X} h steps size (E : posreal) count (D : curve) after l infinite
  (r : Y -> run X) (s : Y -> test X) :
  0 < h -> (0 < size)%nat -> E <= INR steps * h ->
  symmetric D -> above h size after D ->
  let last := Z.of_nat (size - 1) in
  let values := extended h size (computed h steps size after count) in
  falling l ->
  (forall x, In x l -> exists k, (- last <= k <= last)%Z /\ fst x = point h k) ->
  (forall k, (- last <= k <= last)%Z -> values k <= delta_of l infinite (point h k)) ->
  values last <= infinite -> 1 <= infinite + total (fun _ => 1) l ->
  curve_of P Q B -> curve_of Q P B ->
  (forall y, follows_both (repeat E count) D (r y)) ->
  let p := fun y => chance (r y) (s y) in
  let q := fun y => other_chance (r y) (s y) in
  M p -> M q -> (forall y, 0 <= p y) -> (forall y, 0 <= q y) ->
  forall e, P p - exp e * Q q <= composed l infinite B e /\
            Q q - exp e * P p <= composed l infinite B e.
Proof.
  intros Hh Hsize HE HS HA last values Hl Hon Hvalues Hlast Hone HB HB' HF p q Mp Mq Np Nq e.
  assert (Sp : (fun y => other_chance (swapped (r y)) (s y)) = p)
    by (apply FunctionalExtensionality.functional_extensionality; intros y; apply swapped_chance).
  assert (Sq : (fun y => chance (swapped (r y)) (s y)) = q)
    by (apply FunctionalExtensionality.functional_extensionality; intros y; apply swapped_chance).
  split.
  - apply (certificate P Q B h steps size E count D after l infinite r s); try assumption.
    intros y. now apply follows_one.
  - rewrite <- Sp, <- Sq.
    apply (certificate Q P B h steps size E count D after l infinite (fun y => swapped (r y)) s);
      try assumption; try (rewrite Sp; assumption); try (rewrite Sq; assumption).
    + intros y. now apply follows_one, follows_swapped.
    + intros y. rewrite (proj2 (swapped_chance (r y) (s y))). apply Np.
Qed.
