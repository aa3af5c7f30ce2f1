(** Privacy curves: upper bounds on P(s) - e^eps Q(s), over all tests s, as functions of eps. *)
From Coq Require Import Reals Lra Lia Psatz List.
From Proofs Require Import sums.
Open Scope R_scope.

(** [D] is convex as a function of e^eps. *)
Definition convex_in_exp (D : R -> R) : Prop :=
  forall a b m w, 0 <= w <= 1 -> exp m = w * exp a + (1 - w) * exp b ->
  D m <= w * D a + (1 - w) * D b.

Definition nonincreasing (D : R -> R) : Prop := forall a b, a <= b -> D b <= D a.

Record curve := Curve {
  delta :> R -> R;
  delta_range : forall e, 0 <= delta e <= 1;
  delta_falls : nonincreasing delta;
  delta_convex : convex_in_exp delta
}.

(** [D] bounds a pair of distributions, seen through their tests: [P s] is the chance that the
    test [s] says yes under the one table, [Q s] that under the other. Events are tests. *)
Definition bounds {X : Type} (D : R -> R) (P Q : X -> R) : Prop :=
  forall s e, P s - exp e * Q s <= D e.

(** Where nothing is released after, [max (0, 1 - e^eps)] is the curve. *)
Definition nothing_after (e : R) : R := Rmax 0 (1 - exp e).

Lemma Rmax_convex w a b c d : 0 <= w <= 1 ->
  Rmax (w * a + (1 - w) * b) (w * c + (1 - w) * d) <= w * Rmax a c + (1 - w) * Rmax b d.
Proof.
  intros Hw. pose proof (Rmax_l a c). pose proof (Rmax_r a c).
  pose proof (Rmax_l b d). pose proof (Rmax_r b d). apply Rmax_lub; nra.
Qed.

Definition nothing : curve.
Proof.
  refine (Curve nothing_after _ _ _); unfold nothing_after.
  - intros e. pose proof (exp_pos e). split; [apply Rmax_l|apply Rmax_lub; lra].
  - intros a b H. apply Rle_max_compat_l.
    destruct H as [H| ->]; [apply exp_increasing in H|]; lra.
  - intros a b m w Hw E. rewrite E.
    replace 0 with (w * 0 + (1 - w) * 0) at 1 by ring.
    replace (1 - (w * exp a + (1 - w) * exp b))
      with (w * (1 - exp a) + (1 - w) * (1 - exp b)) by ring.
    now apply Rmax_convex.
Defined.

Theorem nothing_is e : nothing e = Rmax 0 (1 - exp e).
Proof. reflexivity. Qed.

(** The least upper bound of a family of functions that are falling and convex in e^eps, with
    values in [0, 1], is one as well. *)
Section Supremum.
Variable I : Type.
Variable witness : I.
Variable f : I -> R -> R.
Hypothesis f_range : forall i e, f i e <= 1.
Hypothesis f_nonneg : forall e, 0 <= f witness e.
Hypothesis f_falls : forall i, nonincreasing (f i).
Hypothesis f_convex : forall i, convex_in_exp (f i).

Definition values (e : R) : R -> Prop := fun y => exists i, y = f i e.

Lemma values_bound e : bound (values e).
Proof. exists 1. intros y [i ->]. apply f_range. Qed.

Lemma values_some e : exists y, values e y.
Proof. exists (f witness e), witness. reflexivity. Qed.

Definition supremum (e : R) : R :=
  proj1_sig (completeness (values e) (values_bound e) (values_some e)).

Lemma supremum_is_lub e : is_lub (values e) (supremum e).
Proof. unfold supremum. now destruct (completeness _ _ _). Qed.

Lemma supremum_above i e : f i e <= supremum e.
Proof. apply (proj1 (supremum_is_lub e)). now exists i. Qed.

Lemma supremum_least e y : (forall i, f i e <= y) -> supremum e <= y.
Proof. intros H. apply (proj2 (supremum_is_lub e)). intros z [i ->]. apply H. Qed.

Definition supremum_curve : curve.
Proof.
  refine (Curve supremum _ _ _).
  - intros e. split.
    + eapply Rle_trans; [apply f_nonneg|apply supremum_above].
    + apply supremum_least. intros i. apply f_range.
  - intros a b H. apply supremum_least. intros i.
    eapply Rle_trans; [apply (f_falls i a b H)|apply supremum_above].
  - intros a b m w Hw E. apply supremum_least. intros i.
    eapply Rle_trans; [apply (f_convex i a b m w Hw E)|].
    pose proof (supremum_above i a). pose proof (supremum_above i b). nra.
Defined.

End Supremum.

(** The exact profile of any mechanism, on any space, is a curve: the supremum over its tests,
    one of which always says no. So every later mechanism may follow a block. *)
Section Profile.
Variable X : Type.
Variables P Q : X -> R.
Variable never : X.
Hypothesis P_range : forall s, 0 <= P s <= 1.
Hypothesis Q_range : forall s, 0 <= Q s <= 1.
Hypothesis P_never : P never = 0.
Hypothesis Q_never : Q never = 0.

Definition profile : curve.
Proof.
  refine (supremum_curve X never (fun s e => P s - exp e * Q s) _ _ _ _).
  - intros s e. pose proof (P_range s). pose proof (Q_range s). pose proof (exp_pos e). nra.
  - intros e. rewrite P_never, Q_never. lra.
  - intros s a b H. pose proof (Q_range s).
    assert (exp a <= exp b) by (destruct H as [H| ->]; [left; now apply exp_increasing|lra]). nra.
  - intros s a b m w Hw E. rewrite E. right. ring.
Defined.

Theorem profile_is_the_supremum e :
  is_lub (fun y => exists s, y = P s - exp e * Q s) (profile e).
Proof. exact (supremum_is_lub X never (fun s e => P s - exp e * Q s) _ e). Qed.

Theorem profile_bounds : bounds profile P Q.
Proof. intros s e. exact (supremum_above X never (fun s e => P s - exp e * Q s) _ s e). Qed.

End Profile.

(** [D(-e) = 1 - e^-e + e^-e D(e)]: curves of both directions are known at negative eps. *)
Definition symmetric (D : R -> R) : Prop :=
  forall e, D (- e) = 1 - exp (- e) + exp (- e) * D e.

Lemma nothing_symmetric : symmetric nothing.
Proof.
  intros e. simpl. unfold nothing_after. rewrite exp_Ropp. pose proof (exp_pos e).
  assert (exp e * / exp e = 1) by (apply Rinv_r; lra).
  assert (0 < / exp e) by now apply Rinv_0_lt_compat.
  unfold Rmax. destruct (Rle_dec 0 (1 - / exp e)), (Rle_dec 0 (1 - exp e)); nra.
Qed.

(** Any mechanisms that may come after have one curve of both directions, which is symmetric if
    each test [s] has its contrary: their exact profile. [X] holds mechanism and test. *)
Section BothDirections.
Variable X : Type.
Variables P Q : X -> R.
Variable never : X.
Variable contrary : X -> X.
Hypothesis P_range : forall s, 0 <= P s <= 1.
Hypothesis Q_range : forall s, 0 <= Q s <= 1.
Hypothesis P_never : P never = 0.
Hypothesis Q_never : Q never = 0.
Hypothesis P_contrary : forall s, P (contrary s) = 1 - P s.
Hypothesis Q_contrary : forall s, Q (contrary s) = 1 - Q s.

Definition one_way (s : X * bool) : R := if snd s then P (fst s) else Q (fst s).
Definition other_way (s : X * bool) : R := if snd s then Q (fst s) else P (fst s).

Definition two_sided_profile : curve.
Proof.
  refine (profile (X * bool) one_way other_way (never, true) _ _ _ _);
    try (intros [s []]; unfold one_way, other_way; simpl; auto); assumption.
Defined.

Lemma two_sided_profile_is_least e y :
  (forall s, one_way s - exp e * other_way s <= y) -> two_sided_profile e <= y.
Proof. intros H. apply supremum_least. exact H. Qed.

Theorem two_sided_profile_bounds :
  bounds two_sided_profile P Q /\ bounds two_sided_profile Q P.
Proof.
  split; intros s e.
  - exact (profile_bounds (X * bool) one_way other_way (never, true) _ _ _ _ (s, true) e).
  - exact (profile_bounds (X * bool) one_way other_way (never, true) _ _ _ _ (s, false) e).
Qed.

Lemma two_sided_half e :
  two_sided_profile (- e) <= 1 - exp (- e) + exp (- e) * two_sided_profile e.
Proof.
  apply two_sided_profile_is_least. intros [s d].
  destruct two_sided_profile_bounds as [B1 B2].
  assert (I : exp (- e) * exp e = 1)
    by (rewrite <- exp_plus; replace (- e + e) with 0 by ring; apply exp_0).
  pose proof (exp_pos (- e)).
  destruct d; cbn [one_way other_way fst snd].
  - pose proof (B2 (contrary s) e) as W. rewrite P_contrary, Q_contrary in W.
    apply Rmult_le_compat_l with (r := exp (- e)) in W; [|lra].
    replace (exp (- e) * (1 - Q s - exp e * (1 - P s)))
      with (exp (- e) * (1 - Q s) - exp (- e) * exp e * (1 - P s)) in W by ring.
    rewrite I in W. lra.
  - pose proof (B1 (contrary s) e) as W. rewrite P_contrary, Q_contrary in W.
    apply Rmult_le_compat_l with (r := exp (- e)) in W; [|lra].
    replace (exp (- e) * (1 - P s - exp e * (1 - Q s)))
      with (exp (- e) * (1 - P s) - exp (- e) * exp e * (1 - Q s)) in W by ring.
    rewrite I in W. lra.
Qed.

Theorem two_sided_profile_is_symmetric : symmetric two_sided_profile.
Proof.
  intros e. apply Rle_antisym; [apply two_sided_half|].
  pose proof (two_sided_half (- e)) as W. rewrite Ropp_involutive in W.
  pose proof (exp_pos (- e)).
  assert (I : exp (- e) * exp e = 1)
    by (rewrite <- exp_plus; replace (- e + e) with 0 by ring; apply exp_0).
  apply Rmult_le_compat_l with (r := exp (- e)) in W; [|lra].
  replace (exp (- e) * (1 - exp e + exp e * two_sided_profile (- e)))
    with (exp (- e) - exp (- e) * exp e + exp (- e) * exp e * two_sided_profile (- e)) in W
    by ring.
  rewrite I in W. lra.
Qed.

End BothDirections.
