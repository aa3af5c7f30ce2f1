(** Finite sums of reals, and the chord above a convex function. *)
From Coq Require Import Reals Lra Lia Psatz List.
Open Scope R_scope.

Fixpoint sum (n : nat) (f : nat -> R) : R :=
  match n with
  | O => 0
  | S m => sum m f + f m
  end.

Lemma sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> sum n f <= sum n g.
Proof.
  induction n as [|n IH]; simpl; intros H; [lra|].
  assert (sum n f <= sum n g) by (apply IH; intros; apply H; lia).
  assert (f n <= g n) by (apply H; lia). lra.
Qed.

Lemma sum_eq n f g : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
Proof.
  intros H. apply Rle_antisym; apply sum_le; intros i Hi; rewrite H by assumption; lra.
Qed.

Lemma sum_linear n f g a b :
  sum n (fun i => a * f i + b * g i) = a * sum n f + b * sum n g.
Proof. induction n as [|n IH]; simpl; [ring|rewrite IH; ring]. Qed.

Lemma sum_zero n f : (forall i, (i < n)%nat -> f i = 0) -> sum n f = 0.
Proof.
  induction n as [|n IH]; simpl; intros H; [reflexivity|].
  rewrite IH, H; [ring|lia|intros; apply H; lia].
Qed.

Lemma sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sum n f.
Proof.
  intros H. rewrite <- (sum_zero n (fun _ => 0)) by reflexivity. now apply sum_le.
Qed.

(** [F] is convex on the positive reals. *)
Definition convex (F : R -> R) : Prop :=
  forall x y w, 0 < x -> 0 < y -> 0 <= w <= 1 ->
  F (w * x + (1 - w) * y) <= w * F x + (1 - w) * F y.

(** Between two points a convex function lies below its chord. *)
Lemma below_chord F a b r : convex F -> 0 < a -> a <= r <= b -> a < b ->
  F r <= (b - r) / (b - a) * F a + (r - a) / (b - a) * F b.
Proof.
  intros HF Ha Hr Hab.
  set (w := (b - r) / (b - a)).
  assert (Hd : 0 < / (b - a)) by (apply Rinv_0_lt_compat; lra).
  assert (Hw : 0 <= w) by (unfold w, Rdiv; apply Rmult_le_pos; lra).
  assert (Hv : (r - a) / (b - a) = 1 - w) by (unfold w; field; lra).
  assert (Hw1 : 0 <= 1 - w) by (rewrite <- Hv; unfold Rdiv; apply Rmult_le_pos; lra).
  assert (E : r = w * a + (1 - w) * b) by (unfold w; field; lra).
  rewrite Hv. rewrite E at 1. apply HF; lra.
Qed.
