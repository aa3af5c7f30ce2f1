(** Noise on whole numbers: a number plus rounded noise is the rounded sum of number and noise. *)
From Coq Require Import Reals Lra Lia Psatz List ZArith.
From Proofs Require Import sums curves block composition.
Open Scope R_scope.

(** The nearest whole number; a half goes up. *)
Definition rounded (x : R) : Z := (up (x + / 2) - 1)%Z.

(** So that [rounded] noise is [k] with the chance that noise lies within a half of [k]. *)
Theorem rounded_is x k : rounded x = k <-> IZR k - / 2 <= x < IZR k + / 2.
Proof.
  unfold rounded. destruct (archimed (x + / 2)) as [H1 H2]. split.
  - intros <-. rewrite minus_IZR. lra.
  - intros [L U]. apply Zplus_reg_l with 1%Z. ring_simplify. symmetry.
    apply tech_up; rewrite plus_IZR; lra.
Qed.

Theorem rounding_commutes_with_whole_numbers (s : Z) x :
  rounded (IZR s + x) = (s + rounded x)%Z.
Proof.
  apply rounded_is. destruct (proj1 (rounded_is x (rounded x)) eq_refl) as [L U].
  rewrite plus_IZR. lra.
Qed.

(** The rounding argument. [P] and [Q] are the laws, under two neighbouring tables, of what is
    drawn, [y]: the whole numbers [s y i] and the real noise [noise y i], [i] the cell. The whole
    numbers may be random (sums over sampled records) or certain. If every test of the real sums
    [s + noise] is bounded by [B], then so is every test of what is released,
    [s + rounded noise]. *)
Theorem rounded_noise_keeps_the_curve {Y} {M : measurable Y} (P Q : expectation M) (B : R -> R)
  (s : Y -> nat -> Z) (noise : Y -> nat -> R) :
  (forall f : (nat -> R) -> R,
     is_test M (fun y => f (fun i => IZR (s y i) + noise y i)) ->
     forall e, P (fun y => f (fun i => IZR (s y i) + noise y i))
               - exp e * Q (fun y => f (fun i => IZR (s y i) + noise y i)) <= B e) ->
  forall f : (nat -> Z) -> R,
    is_test M (fun y => f (fun i => (s y i + rounded (noise y i))%Z)) ->
    forall e, P (fun y => f (fun i => (s y i + rounded (noise y i))%Z))
              - exp e * Q (fun y => f (fun i => (s y i + rounded (noise y i))%Z)) <= B e.
Proof.
  intros H f T e.
  assert (E : (fun y => f (fun i => (s y i + rounded (noise y i))%Z))
              = (fun y => (fun v : nat -> R => f (fun i => rounded (v i)))
                            (fun i => IZR (s y i) + noise y i))).
  { apply FunctionalExtensionality.functional_extensionality. intros y. f_equal.
    apply FunctionalExtensionality.functional_extensionality. intros i.
    now rewrite rounding_commutes_with_whole_numbers. }
  rewrite E in *. exact (H (fun v => f (fun i => rounded (v i))) T e).
Qed.
