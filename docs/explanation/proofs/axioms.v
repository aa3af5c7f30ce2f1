(** What the theorems rest on: the axioms of Coq's real numbers, and nothing else. *)
From Proofs Require Import sums curves block selections lattice composition rounding.

Definition theorems :=
  ((@two_outcomes_are_the_worst, @one_step, @block_curve, @block_curve_in_both_directions),
   (@block_symmetric, @lattice_is_above, @exponential_mechanism_has_bounded_range),
   (@composition_with_dots, @whole_sequence, @losses_add_up),
   (@zero_delta_after, @zero_delta_before, @several_zero_deltas, @what_is_left),
   (@rounded_is, @rounded_noise_keeps_the_curve)).

Print Assumptions theorems.
