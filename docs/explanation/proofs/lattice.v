(** The recursion as it is computed: on multiples of [h] only, with every range rounded up by one
    more step, mirrored to negative eps and continued by its last value. In real arithmetic. *)
From Coq Require Import Reals Lra Lia Psatz List ZArith.
From Proofs Require Import sums curves block.
Open Scope R_scope.

(** A wider interval of losses has the larger bracket. *)
Theorem wider_interval_costs_more (D : curve) E t E' t' e :
  0 < E -> 0 <= t <= E -> t' - E' <= t - E -> t <= t' ->
  bracket E D t e <= bracket E' D t' e.
Proof.
  intros HE Ht Hlo Hhi.
  pose proof (high_range E t HE Ht) as Hh.
  pose proof (exp_above_one E HE). pose proof (exp_pos t). pose proof (exp_pos E).
  assert (R : exp (E - t) = exp E * exp (- t))
    by (unfold Rminus; apply exp_plus).
  set (p := fun i : nat => match i with O => high E t | _ => 1 - high E t end).
  set (q := fun i : nat => match i with
                           | O => exp (- t) * high E t
                           | _ => exp (E - t) * (1 - high E t) end).
  assert (I : in_interval E' t' 2 p q).
  { split; [simpl; ring|]. split.
    - simpl. rewrite R. unfold high. rewrite exp_Ropp. field. lra.
    - intros i Hi. pose proof (exp_pos (- t)). pose proof (exp_pos (E - t)).
      assert (A : exp (t' - E') * exp (- t) <= 1)
        by (rewrite <- exp_plus, <- exp_0; apply exp_le; lra).
      assert (B : 1 <= exp t' * exp (- t))
        by (rewrite <- exp_plus, <- exp_0; apply exp_le; lra).
      assert (C : exp (t' - E') * exp (E - t) <= 1)
        by (rewrite <- exp_plus, <- exp_0; apply exp_le; lra).
      assert (F : 1 <= exp t' * exp (E - t))
        by (rewrite <- exp_plus, <- exp_0; apply exp_le; lra).
      destruct i as [|[|i]]; [| |lia]; simpl; split; try nra;
        rewrite <- !Rmult_assoc; split; nra. }
  pose proof (expected_curve D E' t' 2 p q e (delta_convex D)) as X.
  eapply Rle_trans; [|apply X; [lra|exact I]].
  right. unfold bracket, p, q. simpl.
  assert (L : forall a x, 0 < x -> ln (x / (exp a * x)) = - a).
  { intros a x Hx. replace (x / (exp a * x)) with (exp (- a));
      [apply ln_exp|rewrite exp_Ropp; field; pose proof (exp_pos a); lra]. }
  assert (T1 : high E t * D (e - ln (high E t / (exp (- t) * high E t))) = high E t * D (e - t)).
  { destruct Hh as [[Hh|<-] _]; [|ring]. rewrite L by assumption. do 2 f_equal. ring. }
  assert (T2 : (1 - high E t) * D (e - ln ((1 - high E t) / (exp (E - t) * (1 - high E t))))
               = (1 - high E t) * D (e - t + E)).
  { destruct Hh as [_ [Hh|Hh]]; [|rewrite Hh; ring]. rewrite L by lra. do 2 f_equal. ring. }
  rewrite T1, T2. ring.
Qed.

(** The largest of [f 0], ..., [f n]. *)
Fixpoint largest (n : nat) (f : nat -> R) : R :=
  match n with
  | O => f O
  | S m => Rmax (largest m f) (f (S m))
  end.

Lemma largest_above n f j : (j <= n)%nat -> f j <= largest n f.
Proof.
  induction n as [|n IH]; intros H; simpl.
  - assert (j = O) as -> by lia. lra.
  - destruct (Nat.eq_dec j (S n)) as [-> |]; [apply Rmax_r|].
    eapply Rle_trans; [apply IH; lia|apply Rmax_l].
Qed.

Section Lattice.
Variable h : R.
Hypothesis h_positive : 0 < h.
Variable steps : nat.  (* of a range *)
Variable size : nat.   (* points that are kept *)
Hypothesis size_positive : (0 < size)%nat.

Definition point (k : Z) : R := IZR k * h.
Definition width : nat := S steps.
Definition wide : R := INR width * h.

Definition lattice_bracket (L : Z -> R) (k : Z) (j : nat) : R :=
  high wide (INR j * h) * L (k - Z.of_nat j)%Z
  + (1 - high wide (INR j * h)) * L (k - Z.of_nat j + Z.of_nat width)%Z.

Definition lattice_step (L : Z -> R) (k : Z) : R := largest width (lattice_bracket L k).

Theorem lattice_step_is_above (E : posreal) (D : curve) (L : Z -> R) k :
  E <= INR steps * h -> (forall i, D (point i) <= L i) ->
  next E D (point k) <= lattice_step L k.
Proof.
  intros HE HL. apply next_least. intros t Ht.
  destruct (archimed (t / h)) as [Hup Hlow].
  set (u := up (t / h)) in *.
  assert (Hth : t / h * h = t) by (field; lra).
  assert (Hquot : 0 <= t / h) by (apply Rmult_le_reg_r with h; lra).
  assert (Hmost : t / h <= INR steps)
    by (apply Rmult_le_reg_r with h; [assumption|]; rewrite Hth; lra).
  assert (Hu : (0 <= u)%Z) by (apply le_IZR; simpl; lra).
  set (j := Z.to_nat u).
  assert (Hj : Z.of_nat j = u) by (apply Z2Nat.id; assumption).
  assert (HjR : INR j = IZR u) by (rewrite INR_IZR_INZ, Hj; reflexivity).
  assert (Hjw : (j <= width)%nat).
  { apply INR_le. rewrite HjR. unfold width. rewrite S_INR. lra. }
  eapply Rle_trans; [|apply (largest_above width (lattice_bracket L k) j Hjw)].
  assert (Ht' : 0 <= INR j * h <= wide).
  { unfold wide. pose proof (le_INR _ _ Hjw). pose proof (pos_INR j). split; nra. }
  assert (Hw : 0 < wide).
  { unfold wide, width. rewrite S_INR. pose proof (pos_INR steps). nra. }
  apply Rle_trans with (bracket wide D (INR j * h) (point k)).
  - apply wider_interval_costs_more; [apply cond_pos|assumption| |].
    + unfold wide, width. rewrite S_INR, HjR. nra.
    + rewrite HjR. nra.
  - unfold bracket, lattice_bracket.
    pose proof (high_range wide (INR j * h) Hw Ht') as Hh.
    assert (P1 : point k - INR j * h = point (k - Z.of_nat j)).
    { unfold point. rewrite minus_IZR, <- INR_IZR_INZ. ring. }
    assert (P2 : point k - INR j * h + wide = point (k - Z.of_nat j + Z.of_nat width)).
    { unfold point, wide. rewrite plus_IZR, minus_IZR, <- !INR_IZR_INZ. ring. }
    rewrite P2, P1. pose proof (HL (k - Z.of_nat j)%Z).
    pose proof (HL (k - Z.of_nat j + Z.of_nat width)%Z). nra.
Qed.

(** What is kept, at 0, h, ..., (size - 1) h, and what is taken for it elsewhere. *)
Definition extended (kept : nat -> R) (k : Z) : R :=
  if (k <? 0)%Z then
    if (- k <? Z.of_nat size)%Z then
      1 - exp (point k) + exp (point k) * kept (Z.to_nat (- k))
    else 1
  else if (k <? Z.of_nat size)%Z then kept (Z.to_nat k)
  else kept (size - 1)%nat.

Definition above (kept : nat -> R) (D : R -> R) : Prop :=
  forall k, (k < size)%nat -> D (point (Z.of_nat k)) <= kept k.

Lemma extended_is_above kept (D : curve) k :
  symmetric D -> above kept D -> D (point k) <= extended kept k.
Proof.
  intros S A. unfold extended.
  destruct (Z.ltb_spec k 0).
  - destruct (Z.ltb_spec (- k) (Z.of_nat size)); [|apply delta_range].
    assert (N : (Z.to_nat (- k) < size)%nat) by lia.
    pose proof (A _ N) as Ak. rewrite Z2Nat.id in Ak by lia.
    replace (point k) with (- point (- k)) by (unfold point; rewrite opp_IZR; ring).
    rewrite S. pose proof (exp_pos (- point (- k))). nra.
  - destruct (Z.ltb_spec k (Z.of_nat size)).
    + assert (N : (Z.to_nat k < size)%nat) by lia.
      pose proof (A _ N) as Ak. now rewrite Z2Nat.id in Ak by lia.
    + eapply Rle_trans; [|apply A; lia]. apply delta_falls. unfold point.
      apply Rmult_le_compat_r; [lra|]. apply IZR_le. lia.
Qed.

Definition computed (kept : nat -> R) (count : nat) : nat -> R :=
  Nat.iter count (fun kept k => lattice_step (extended kept) (Z.of_nat k)) kept.

(** What is computed is nowhere below the curve of the block. *)
Theorem lattice_is_above (E : posreal) (D : curve) kept count :
  E <= INR steps * h -> symmetric D -> above kept D ->
  above (computed kept count) (block (repeat E count) D).
Proof.
  intros HE S A. induction count as [|count IH]; [exact A|].
  intros k _. simpl. apply lattice_step_is_above; [assumption|].
  intros i. apply extended_is_above; [now apply block_symmetric|exact IH].
Qed.

End Lattice.
