(** What the theorems rest on: the axioms of Coq's real numbers, and nothing else. *)
From Proofs Require Import sums curves block selections lattice composition dots zero_delta rounding.

Definition theorems :=
  ((@two_outcomes_are_the_worst, @one_step, @block_curve, @block_curve_in_both_directions),
   (@two_sided_profile_bounds, @two_sided_profile_is_symmetric, @block_symmetric),
   (@exponential_mechanism_has_bounded_range, @wider_interval_costs_more, @lattice_is_above),
   (@composition_with_dots, @whole_sequence, @losses_add_up),
   (@sharing_costs_more, @connecting_the_dots, @certificate),
   (@held_by_one_unit, @zero_delta_after, @zero_delta_before, @several_zero_deltas,
    @what_is_left),
   (@rounded_is, @rounding_commutes_with_whole_numbers, @rounded_noise_keeps_the_curve)).

Print Assumptions theorems.
