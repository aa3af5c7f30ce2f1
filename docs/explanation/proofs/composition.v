(** What comes before: composition with losses on dots, over arbitrary spaces that are seen
    through expectations. *)
From Coq Require Import Reals Lra Lia Psatz List.
From Proofs Require Import sums curves block.
Import ListNotations.
Open Scope R_scope.

(** * Expectations *)

(** The bounded measurable functions on a space, or any class of functions that is closed under
    what is done with them below. *)
Record measurable (Y : Type) := Measurable {
  admits :> (Y -> R) -> Prop;
  admits_constant : forall c, admits (fun _ => c);
  admits_linear : forall a b f g, admits f -> admits g -> admits (fun y => a * f y + b * g y);
  admits_least : forall c f, admits f -> admits (fun y => Rmin (f y) c)
}.
Arguments admits {Y}. Arguments admits_constant {Y}. Arguments admits_linear {Y}.
Arguments admits_least {Y}.

(** Integrals with respect to a probability measure are such. *)
Record expectation {Y} (M : measurable Y) := Expectation {
  mean :> (Y -> R) -> R;
  mean_constant : forall c, mean (fun _ => c) = c;
  mean_linear : forall a b f g, M f -> M g ->
    mean (fun y => a * f y + b * g y) = a * mean f + b * mean g;
  mean_monotone : forall f g, M f -> M g -> (forall y, f y <= g y) -> mean f <= mean g
}.
Arguments mean {Y M}. Arguments mean_constant {Y M}. Arguments mean_linear {Y M}.
Arguments mean_monotone {Y M}.

(** Sums over finitely many outcomes are such, for instance. *)
Definition everything (Y : Type) : measurable Y.
Proof. now refine (Measurable Y (fun _ => True) _ _ _). Defined.

Definition finite_sum (n : nat) (p : nat -> R) (nonneg : forall i, 0 <= p i)
  (one : sum n p = 1) : expectation (everything nat).
Proof.
  refine (Expectation _ _ (fun f => sum n (fun i => p i * f i)) _ _ _).
  - intros c. rewrite (sum_eq n _ (fun i => c * p i + 0 * p i)) by (intros; ring).
    rewrite sum_linear, one. ring.
  - intros a b f g _ _. rewrite <- sum_linear. apply sum_eq. intros. ring.
  - intros f g _ _ H. apply sum_le. intros i _. apply Rmult_le_compat_l; auto.
Defined.

Definition is_test {Y} (M : measurable Y) (f : Y -> R) : Prop :=
  M f /\ forall y, 0 <= f y <= 1.

(** [B] is a privacy curve of the mechanism whose outcomes have the laws [P] and [Q]. *)
Definition curve_of {Y} {M : measurable Y} (P Q : expectation M) (B : R -> R) : Prop :=
  forall f, is_test M f -> forall e, P f - exp e * Q f <= B e.

Section Expectations.
Context {Y : Type} {M : measurable Y}.

Lemma admits_ext f g : M f -> (forall y, g y = f y) -> M g.
Proof.
  intros H E. assert (g = f) as ->; [|assumption].
  apply FunctionalExtensionality.functional_extensionality. exact E.
Qed.

Lemma admits_scaled c f : M f -> M (fun y => c * f y).
Proof.
  intros H. apply (admits_ext (fun y => c * f y + 0 * f y));
    [now apply admits_linear|intros; ring].
Qed.

Lemma admits_difference f g : M f -> M g -> M (fun y => f y - g y).
Proof.
  intros Hf Hg. apply (admits_ext (fun y => 1 * f y + (-1) * g y));
    [now apply admits_linear|intros; ring].
Qed.

Lemma admits_largest c f : M f -> M (fun y => Rmax (f y) c).
Proof.
  intros H. apply (admits_ext (fun y => (-1) * Rmin ((-1) * f y) (- c))).
  - apply admits_scaled, admits_least. now apply admits_scaled.
  - intros y. unfold Rmax, Rmin. destruct (Rle_dec (f y) c), (Rle_dec (-1 * f y) (- c)); lra.
Qed.

Lemma mean_scaled (P : expectation M) c f : M f -> P (fun y => c * f y) = c * P f.
Proof.
  intros H. assert ((fun y => c * f y) = (fun y => c * f y + 0 * f y)) as ->
    by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
  rewrite mean_linear by assumption. ring.
Qed.

Lemma mean_shifted (P : expectation M) c d f : M f -> P (fun y => d + c * f y) = d + c * P f.
Proof.
  intros H. assert ((fun y => d + c * f y) = (fun y => d * (fun _ => 1) y + c * f y)) as ->
    by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
  rewrite mean_linear by (assumption || apply admits_constant). rewrite mean_constant. ring.
Qed.

Lemma mean_nonneg (P : expectation M) f : M f -> (forall y, 0 <= f y) -> 0 <= P f.
Proof.
  intros H N. rewrite <- (mean_constant P 0). apply mean_monotone; auto. apply admits_constant.
Qed.

Lemma mean_at_most (P : expectation M) c f : M f -> (forall y, f y <= c) -> P f <= c.
Proof.
  intros H N. rewrite <- (mean_constant P c). apply mean_monotone; auto. apply admits_constant.
Qed.

End Expectations.

(** * Losses on dots *)

(** Losses and their chances, the largest loss first; [infinite] is the chance of an infinite
    loss. Their curve is [delta_of]. *)
Definition dots : Type := list (R * R).

Fixpoint falling (l : dots) : Prop :=
  match l with
  | [] => True
  | x :: l => 0 <= snd x /\ (forall y, In y l -> fst y <= fst x) /\ falling l
  end.

Fixpoint total (f : R -> R) (l : dots) : R :=
  match l with
  | [] => 0
  | (loss, p) :: l => p * f loss + total f l
  end.

Definition delta_of (l : dots) (infinite e : R) : R :=
  infinite + total (fun loss => Rmax 0 (1 - exp (e - loss))) l.

(** The losses of events before, whose curve is [B], are added. *)
Definition composed (l : dots) (infinite : R) (B : R -> R) (e : R) : R :=
  infinite + total (fun loss => B (e - loss)) l.

(** The most powerful test whose chance is [b] under the second table takes the largest losses
    first. [power] is its chance under the first. *)
Fixpoint power (l : dots) (b : R) : R :=
  match l with
  | [] => 0
  | (loss, p) :: l =>
      exp loss * Rmin b (exp (- loss) * p) + power l (b - Rmin b (exp (- loss) * p))
  end.

Lemma exp_cancel x : exp x * exp (- x) = 1.
Proof. rewrite <- exp_plus. replace (x + - x) with 0 by ring. apply exp_0. Qed.

Lemma exp_minus_loss e x : exp (e - x) = exp e * exp (- x).
Proof. unfold Rminus. apply exp_plus. Qed.

Lemma total_zero f l : (forall x, In x l -> f (fst x) = 0) -> total f l = 0.
Proof.
  induction l as [|[x p] l IH]; intros H; simpl; [reflexivity|].
  rewrite IH by (intros; apply H; now right).
  pose proof (H (x, p) (or_introl eq_refl)) as E. simpl in E. rewrite E. ring.
Qed.

Lemma power_nothing l : falling l -> power l 0 = 0.
Proof.
  induction l as [|[x p] l IH]; intros H; simpl; [reflexivity|]. destruct H as (Hp & _ & H).
  simpl in Hp. pose proof (exp_pos (- x)).
  rewrite Rmin_left by nra. rewrite Rminus_0_r, IH by assumption. ring.
Qed.

(** Neyman and Pearson: that test attains the curve. *)
Lemma power_attains l b : falling l -> 0 <= b ->
  (exists e, (exists x, In x l /\ e = fst x) /\
     total (fun loss => Rmax 0 (1 - exp (e - loss))) l + exp e * b <= power l b)
  \/ total (fun _ => 1) l <= power l b.
Proof.
  revert b. induction l as [|[x p] l IH]; intros b H Hb; [right; simpl; lra|].
  destruct H as (Hp & Hmost & H). simpl in Hp, Hmost. simpl power.
  pose proof (exp_pos x). pose proof (exp_pos (- x)). pose proof (exp_cancel x) as Hx.
  destruct (Rle_dec b (exp (- x) * p)) as [L|L].
  - left. exists x. split; [exists (x, p); split; [now left|reflexivity]|].
    rewrite Rmin_left by assumption.
    replace (b - b) with 0 by ring. rewrite power_nothing by assumption.
    rewrite total_zero; [lra|].
    intros [z q] [Z|Z]; simpl; apply Rmax_left.
    + injection Z as <- _. replace (x - x) with 0 by ring. rewrite exp_0. lra.
    + assert (1 <= exp (x - z)); [|lra].
      rewrite <- exp_0. apply exp_le. pose proof (Hmost _ Z). simpl in *. lra.
  - rewrite Rmin_right by lra.
    destruct (IH (b - exp (- x) * p) H ltac:(lra)) as [(e & (z & Hz & ->) & A)|A].
    + left. exists (fst z). split; [exists z; split; [now right|reflexivity]|].
      simpl total. pose proof (Hmost z Hz) as Hle.
      assert (exp (fst z - x) <= 1) by (rewrite <- exp_0; apply exp_le; lra).
      rewrite Rmax_right by lra. rewrite exp_minus_loss.
      replace (exp x * (exp (- x) * p)) with (exp x * exp (- x) * p) by ring. rewrite Hx. lra.
    + right. simpl total.
      replace (exp x * (exp (- x) * p)) with (exp x * exp (- x) * p) by ring. rewrite Hx. lra.
Qed.

Lemma total_le f g l : falling l -> (forall x, f x <= g x) -> total f l <= total g l.
Proof.
  induction l as [|[x p] l IH]; intros H F; simpl; [lra|]. destruct H as (Hp & _ & H).
  simpl in Hp. pose proof (F x). pose proof (IH H F). nra.
Qed.

Lemma within_power l infinite a b : falling l -> 0 <= b ->
  (forall e, a - exp e * b <= delta_of l infinite e) -> a <= infinite + power l b.
Proof.
  intros H Hb A. destruct (power_attains l b H Hb) as [(e & _ & W)|W].
  - pose proof (A e). unfold delta_of in *. lra.
  - destruct (Rle_dec a (infinite + power l b)) as [L|L]; [assumption|exfalso].
    set (gap := a - (infinite + power l b)). assert (G : 0 < gap) by (unfold gap; lra).
    assert (C : 0 < gap / (b + 1)) by (unfold Rdiv; apply Rmult_lt_0_compat;
      [assumption|apply Rinv_0_lt_compat; lra]).
    pose proof (A (ln (gap / (b + 1)))) as Ae. rewrite exp_ln in Ae by assumption.
    assert (T : delta_of l infinite (ln (gap / (b + 1))) <= infinite + total (fun _ => 1) l).
    { unfold delta_of. apply Rplus_le_compat_l, total_le; [assumption|].
      intros x. pose proof (exp_pos (ln (gap / (b + 1)) - x)). apply Rmax_lub; lra. }
    assert (gap / (b + 1) * b < gap).
    { apply Rmult_lt_reg_r with (b + 1); [lra|].
      replace (gap / (b + 1) * b * (b + 1)) with (gap * b) by (field; lra). nra. }
    unfold gap in *. lra.
Qed.

Section Before.
Context {Y : Type} {M : measurable Y}.
Variables P Q : expectation M.
Variable B : R -> R.
Hypothesis before : curve_of P Q B.

Lemma power_admitted l b : M b -> M (fun y => power l (b y)).
Proof.
  revert b. induction l as [|[x p] l IH]; intros b Hb; simpl; [apply admits_constant|].
  set (u := fun y => Rmin (b y) (exp (- x) * p)).
  assert (Hu : M u) by now apply admits_least.
  apply (admits_ext (fun y => exp x * u y + 1 * power l (b y - u y))).
  - apply admits_linear; [assumption|]. apply (IH (fun y => b y - u y)).
    now apply admits_difference.
  - intros y. unfold u. ring.
Qed.

Lemma mean_power l b e : falling l -> M b -> (forall y, 0 <= b y) ->
  P (fun y => power l (b y)) - exp e * Q b <= total (fun loss => B (e - loss)) l.
Proof.
  revert b. induction l as [|[x p] l IH]; intros b H Hb Nb.
  - simpl. rewrite mean_constant. pose proof (mean_nonneg Q b Hb Nb).
    assert (0 <= exp e * Q b) by (apply Rmult_le_pos; [left; apply exp_pos|assumption]). lra.
  - destruct H as (Hp & _ & H). simpl in Hp. simpl total.
    pose proof (exp_pos x). pose proof (exp_pos (- x)). pose proof (exp_cancel x) as Hx.
    set (q := exp (- x) * p). assert (Hq : 0 <= q) by (unfold q; nra).
    set (u := fun y => Rmin (b y) q).
    assert (Hu : M u) by now apply admits_least.
    assert (Nu : forall y, 0 <= u y <= q).
    { intros y. split; [apply Rmin_glb; [apply Nb|assumption]|apply Rmin_r]. }
    assert (Hr : M (fun y => b y - u y)) by now apply admits_difference.
    assert (Nr : forall y, 0 <= b y - u y)
      by (intros y; unfold u; pose proof (Rmin_l (b y) q); lra).
    pose proof (IH _ H Hr Nr) as I. cbv beta in I.
    assert (Eb : Q b = Q u + Q (fun y => b y - u y)).
    { assert (b = (fun y => 1 * u y + 1 * (b y - u y))) as Eb
        by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
      rewrite Eb at 1. rewrite mean_linear by assumption. ring. }
    assert (Ep : P (fun y => power ((x, p) :: l) (b y))
                 = exp x * P u + P (fun y => power l (b y - u y))).
    { simpl. fold q. rewrite <- (Rmult_1_l (P (fun y => power l (b y - u y)))).
      rewrite <- mean_linear;
        [|assumption|apply (power_admitted l (fun y => b y - u y)); assumption].
      f_equal. apply FunctionalExtensionality.functional_extensionality. intros y. unfold u. ring. }
    rewrite Ep, Eb.
    assert (U : exp x * P u - exp e * Q u <= p * B (e - x)).
    { destruct Hp as [Hp|Hp].
      - assert (Hq' : 0 < q) by (unfold q; nra).
        assert (T : is_test M (fun y => / q * u y)).
        { split; [now apply admits_scaled|]. intros y. pose proof (Nu y).
          assert (0 < / q) by now apply Rinv_0_lt_compat.
          split; [nra|]. apply Rmult_le_reg_l with q; [assumption|].
          rewrite <- Rmult_assoc, Rinv_r; lra. }
        pose proof (before _ T (e - x)) as W. rewrite !mean_scaled in W by assumption.
        rewrite exp_minus_loss in W.
        apply Rmult_le_compat_l with (r := p) in W; [|lra].
        eapply Rle_trans; [|exact W]. right. unfold q. rewrite exp_Ropp. field. lra.
      - assert (q = 0) as Q0 by (unfold q; rewrite <- Hp; ring).
        assert (P u = 0).
        { apply Rle_antisym;
            [apply mean_at_most|apply mean_nonneg]; auto; intros y; pose proof (Nu y); lra. }
        assert (Q u = 0).
        { apply Rle_antisym;
            [apply mean_at_most|apply mean_nonneg]; auto; intros y; pose proof (Nu y); lra. }
        rewrite <- Hp. nra. }
    lra.
Qed.

(** Composition: events whose curve is [B], then a mechanism chosen by their outcome [y] whose
    curve, whatever [y], is that of the dots. [a y] and [b y] are the chances of a test of what
    comes after [y]. *)
Theorem composition_with_dots l infinite a b :
  falling l -> M a -> M b -> (forall y, 0 <= b y) ->
  (forall y e, a y - exp e * b y <= delta_of l infinite e) ->
  forall e, P a - exp e * Q b <= composed l infinite B e.
Proof.
  intros H Ha Hb Nb D e. unfold composed.
  assert (W : P a <= infinite + P (fun y => power l (b y))).
  { pose proof (power_admitted l b Hb) as Hw.
    rewrite <- (Rmult_1_l (P (fun y => power l (b y)))), <- mean_shifted by assumption.
    apply mean_monotone; [assumption| |].
    - apply (admits_ext (fun y => infinite * (fun _ => 1) y + 1 * power l (b y)));
        [apply admits_linear; [apply admits_constant|assumption]|intros; ring].
    - intros y. rewrite Rmult_1_l. now apply within_power. }
  pose proof (mean_power l b e H Hb Nb). lra.
Qed.

(** The theorem with what comes before: events of curve [B] on any space, then a block of
    selections, then anything of curve [D]. The dots are those of the block's curve. *)
Theorem whole_sequence {X} ranges (D : curve) l infinite (r : Y -> run X) (s : Y -> test X) :
  (forall y, follows ranges D (r y)) ->
  falling l -> (forall e, block ranges D e <= delta_of l infinite e) ->
  M (fun y => chance (r y) (s y)) -> M (fun y => other_chance (r y) (s y)) ->
  (forall y, 0 <= other_chance (r y) (s y)) ->
  forall e, P (fun y => chance (r y) (s y)) - exp e * Q (fun y => other_chance (r y) (s y))
            <= composed l infinite B e.
Proof.
  intros F Hl Hd Ha Hb Nb. apply composition_with_dots; try assumption.
  intros y e. eapply Rle_trans; [apply (block_curve ranges D (r y) (F y))|apply Hd].
Qed.

End Before.

(** * Losses add up *)

Fixpoint shifted (x p : R) (l : dots) : dots :=
  match l with
  | [] => []
  | (y, q) :: l => (x + y, p * q) :: shifted x p l
  end.

Fixpoint sums_of (l k : dots) : dots :=
  match l with
  | [] => []
  | (x, p) :: l => shifted x p k ++ sums_of l k
  end.

(** Where the events before have dots as well, the composed curve is that of all sums of losses:
    a convolution. *)
Theorem losses_add_up l infinite k infinite' e :
  composed l infinite (delta_of k infinite') e
  = delta_of (sums_of l k) (infinite + infinite' * total (fun _ => 1) l) e.
Proof.
  assert (App : forall f l k, total f (l ++ k) = total f l + total f k).
  { intros f. induction l0 as [|[x p] l0 IH]; intros k0; simpl; [ring|rewrite IH; ring]. }
  assert (Sh : forall x p k, total (fun loss => Rmax 0 (1 - exp (e - loss))) (shifted x p k)
                             = p * total (fun loss => Rmax 0 (1 - exp (e - x - loss))) k).
  { intros x p. induction k0 as [|[y q] k0 IH]; simpl; [ring|].
    rewrite IH. replace (e - (x + y)) with (e - x - y) by ring. ring. }
  unfold composed, delta_of. rewrite Rplus_assoc. f_equal.
  induction l as [|[x p] l IH]; simpl; [ring|].
  rewrite IH, App, Sh. ring.
Qed.
