(** What the theorems rest on: the axioms of Coq's real numbers, and nothing else. *)
From Proofs Require Import curves block selections lattice composition dots zero_delta rounding.

Definition theorems :=
  ((@nothing_is, @profile_is_the_supremum, @profile_bounds, @two_sided_profile_bounds,
    @two_sided_profile_is_symmetric),
   (@two_outcomes_are_the_worst, @next_is_the_supremum, @one_step, @block_curve,
    @block_curve_in_both_directions, @next_symmetric, @block_symmetric),
   (@ratios_no_further_apart, @exponential_mechanism_has_bounded_range),
   (@wider_interval_costs_more, @lattice_step_is_above, @lattice_is_above),
   (@composition_with_dots, @whole_sequence, @losses_add_up),
   (@sharing_costs_more, @connecting_the_dots, @certificate,
    @certificate_in_both_directions),
   (@held_by_one_unit, @zero_delta_after, @zero_delta_before, @several_zero_deltas,
    @what_is_left),
   (@rounded_is, @rounding_commutes_with_whole_numbers, @rounded_noise_keeps_the_curve)).

Print Assumptions theorems.
