(** Mechanisms that keep (0, d): with chance d they may tell all, beside any other events. *)
From Coq Require Import Reals Lra Lia Psatz List.
From Proofs Require Import sums curves block composition.
Import ListNotations.
Open Scope R_scope.

(** Why texts that one unit alone holds make such a mechanism: with chances [1 - u] and [1 - v]
    nothing of them is released, and all else can be released from one table alone. [f] is what a
    test says to nothing, [a] and [b] its chances under the two tables. *)
Theorem held_by_one_unit u v f a b : 0 <= f <= 1 ->
  a <= (1 - u) * f + u -> (1 - v) * f <= b -> a - b <= Rmax u v.
Proof.
  intros Hf Ha Hb. pose proof (Rmax_l u v). pose proof (Rmax_r u v). nra.
Qed.

(** Events of curve [B], then a mechanism that is (0, d)-DP whatever their outcome. *)
Theorem zero_delta_after {Y} {M : measurable Y} (P Q : expectation M) (B : R -> R) d a b :
  curve_of P Q B -> 0 <= d <= 1 ->
  M a -> M b -> (forall y, a y <= 1) -> (forall y, 0 <= b y) ->
  (forall y, a y - b y <= d) ->
  forall e, P a - exp e * Q b <= d + (1 - d) * B e.
Proof.
  intros before [Hd Hd1] Ha Hb La Nb D e. pose proof (exp_pos e).
  destruct Hd1 as [Hd1| ->].
  - set (f := fun y => / (1 - d) * Rmin (b y) (1 - d)).
    assert (Hi : 0 < / (1 - d)) by (apply Rinv_0_lt_compat; lra).
    assert (Hm : M (fun y => Rmin (b y) (1 - d))) by now apply admits_least.
    assert (T : is_test M f).
    { split; [now apply admits_scaled|]. intros y. unfold f.
      assert (0 <= Rmin (b y) (1 - d) <= 1 - d)
        by (split; [apply Rmin_glb; [apply Nb|lra]|apply Rmin_r]).
      split; [nra|]. apply Rmult_le_reg_l with (1 - d); [lra|].
      rewrite <- Rmult_assoc, Rinv_r; lra. }
    assert (Ef : forall y, (1 - d) * f y = Rmin (b y) (1 - d))
      by (intros y; unfold f; rewrite <- Rmult_assoc, Rinv_r; lra).
    assert (A1 : P a <= d + (1 - d) * P f).
    { rewrite <- mean_shifted by apply T. apply mean_monotone; [assumption| |].
      - apply (admits_ext (fun y => d * (fun _ => 1) y + (1 - d) * f y));
          [apply admits_linear; [apply admits_constant|apply T]|intros; ring].
      - intros y. rewrite Ef. pose proof (D y). pose proof (La y).
        unfold Rmin. destruct (Rle_dec (b y) (1 - d)); lra. }
    assert (A2 : (1 - d) * Q f <= Q b).
    { rewrite <- mean_scaled by apply T. apply mean_monotone; [|assumption|].
      - apply admits_scaled. apply T.
      - intros y. rewrite Ef. apply Rmin_l. }
    pose proof (before f T e). nra.
  - pose proof (mean_at_most P 1 a Ha La). pose proof (mean_nonneg Q b Hb Nb). nra.
Qed.

(** A mechanism that is (0, d)-DP, then anything of curve [D], whatever the first outcome. *)
Theorem zero_delta_before {Y} {M : measurable Y} (P Q : expectation M) d (D : R -> R) a b :
  (forall f, is_test M f -> P f - Q f <= d) ->
  (forall e, 0 <= D e <= 1) ->
  M a -> M b -> (forall y, a y <= 1) -> (forall y, 0 <= b y) ->
  (forall y e, a y - exp e * b y <= D e) ->
  forall e, P a - exp e * Q b <= d + (1 - d) * D e.
Proof.
  intros first HD Ha Hb La Nb H e. pose proof (exp_pos e).
  destruct (HD e) as [D0 [D1|D1]].
  - set (f := fun y => / (1 - D e) * (Rmax (a y) (D e) - D e)).
    assert (Hi : 0 < / (1 - D e)) by (apply Rinv_0_lt_compat; lra).
    assert (Ef : forall y, (1 - D e) * f y = Rmax (a y) (D e) - D e)
      by (intros y; unfold f; rewrite <- Rmult_assoc, Rinv_r; lra).
    assert (T : is_test M f).
    { split.
      - apply admits_scaled, admits_difference;
          [now apply admits_largest|apply admits_constant].
      - intros y. pose proof (Ef y) as E. pose proof (La y).
        assert (D e <= Rmax (a y) (D e) <= 1) by (split; [apply Rmax_r|apply Rmax_lub; lra]).
        split; nra. }
    assert (A1 : P a <= D e + (1 - D e) * P f).
    { rewrite <- mean_shifted by apply T. apply mean_monotone; [assumption| |].
      - apply (admits_ext (fun y => D e * (fun _ => 1) y + (1 - D e) * f y));
          [apply admits_linear; [apply admits_constant|apply T]|intros; ring].
      - intros y. rewrite Ef. pose proof (Rmax_l (a y) (D e)). lra. }
    assert (A2 : (1 - D e) * Q f <= exp e * Q b).
    { rewrite <- !mean_scaled by (assumption || apply T).
      apply mean_monotone; [apply admits_scaled; apply T|now apply admits_scaled|].
      intros y. rewrite Ef. pose proof (H y e). pose proof (Nb y).
      unfold Rmax. destruct (Rle_dec (a y) (D e)); nra. }
    pose proof (first f T). nra.
  - rewrite D1. pose proof (mean_at_most P 1 a Ha La). pose proof (mean_nonneg Q b Hb Nb). nra.
Qed.

(** Several of them: what they tell together, and what is left for the other events. *)
Fixpoint beside (ds : list R) (delta : R) : R :=
  match ds with
  | [] => delta
  | d :: ds => d + (1 - d) * beside ds delta
  end.

Fixpoint all_kept (ds : list R) : R :=
  match ds with
  | [] => 1
  | d :: ds => (1 - d) * all_kept ds
  end.

Theorem several_zero_deltas ds delta :
  beside ds delta = (1 - all_kept ds) + all_kept ds * delta.
Proof. induction ds as [|d ds IH]; simpl; [ring|rewrite IH; ring]. Qed.

Theorem what_is_left ds delta limit : 0 < all_kept ds ->
  delta <= (limit - (1 - all_kept ds)) / all_kept ds -> beside ds delta <= limit.
Proof.
  intros K H. rewrite several_zero_deltas.
  apply Rmult_le_compat_l with (r := all_kept ds) in H; [|lra].
  replace (all_kept ds * ((limit - (1 - all_kept ds)) / all_kept ds))
    with (limit - (1 - all_kept ds)) in H by (field; lra). lra.
Qed.
