(** The privacy curve of a block of adaptive selections, with whatever comes after it. *)
From Coq Require Import Reals Lra Lia Psatz List.
From Proofs Require Import sums curves.
Import ListNotations.
Open Scope R_scope.

(** * One selection *)

(** [n] outcomes with chances [p i] and [q i] under two neighbouring tables. The log-ratios lie
    in [[t - E, t]]. *)
Definition in_interval (E t : R) (n : nat) (p q : nat -> R) : Prop :=
  sum n p = 1 /\ sum n q = 1 /\
  forall i, (i < n)%nat -> 0 <= q i /\ exp (t - E) * q i <= p i <= exp t * q i.

Definition bounded_range (E : R) (n : nat) (p q : nat -> R) : Prop :=
  exists t, 0 <= t <= E /\ in_interval E t n p q.

(** The pair on two outcomes whose losses are [t] and [t - E]: the chance of the loss [t]. *)
Definition high (E t : R) : R := (exp E - exp t) / (exp E - 1).

(** What is expected over it when [D] follows. *)
Definition bracket (E : R) (D : R -> R) (t e : R) : R :=
  high E t * D (e - t) + (1 - high E t) * D (e - t + E).

Lemma exp_le a b : a <= b -> exp a <= exp b.
Proof. intros [H| ->]; [left; now apply exp_increasing|lra]. Qed.

Lemma exp_above_one E : 0 < E -> 1 < exp E.
Proof. intros H. rewrite <- exp_0. now apply exp_increasing. Qed.

Lemma high_range E t : 0 < E -> 0 <= t <= E -> 0 <= high E t <= 1.
Proof.
  intros HE Ht. unfold high. pose proof (exp_above_one E HE).
  assert (exp t <= exp E) by (apply exp_le; lra).
  assert (1 <= exp t) by (rewrite <- exp_0; apply exp_le; lra).
  assert (0 < / (exp E - 1)) by (apply Rinv_0_lt_compat; lra).
  split; [unfold Rdiv; nra|].
  apply Rmult_le_reg_r with (exp E - 1); [lra|].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
Qed.

(** Lemma 1: among all mechanisms with log-ratios in [[t - E, t]] the one on two outcomes is the
    worst, for every convex function of the ratio. *)
Theorem two_outcomes_are_the_worst F E t n p q :
  convex F -> 0 < E -> in_interval E t n p q ->
  sum n (fun i => q i * F (p i / q i))
  <= exp (- t) * high E t * F (exp t) + exp (E - t) * (1 - high E t) * F (exp (t - E)).
Proof.
  intros HF HE (Hp & Hq & H).
  set (a := exp (t - E)). set (b := exp t).
  assert (Ha : 0 < a) by apply exp_pos.
  assert (Hab : a < b) by (apply exp_increasing; lra).
  apply Rle_trans with
    (sum n (fun i => (F a / (b - a)) * (b * q i - p i) + (F b / (b - a)) * (p i - a * q i))).
  - apply sum_le. intros i Hi. destruct (H i Hi) as [Hqi [Hlo Hhi]]. fold a b in Hlo, Hhi.
    destruct Hqi as [Hqi|Hqi].
    + assert (Hr : a <= p i / q i <= b).
      { split; apply Rmult_le_reg_r with (q i); try assumption;
          unfold Rdiv; rewrite Rmult_assoc, Rinv_l; lra. }
      pose proof (below_chord F a b (p i / q i) HF Ha Hr Hab) as C.
      apply Rmult_le_compat_l with (r := q i) in C; [|lra].
      eapply Rle_trans; [exact C|]. right. field. lra.
    + rewrite <- Hqi in *. assert (p i = 0) as -> by lra. lra.
  - rewrite sum_linear.
    replace (sum n (fun i => b * q i - p i)) with (b - 1)
      by (rewrite (sum_eq n _ (fun i => b * q i + (-1) * p i)) by (intros; ring);
          rewrite sum_linear, Hp, Hq; ring).
    replace (sum n (fun i => p i - a * q i)) with (1 - a)
      by (rewrite (sum_eq n _ (fun i => 1 * p i + (- a) * q i)) by (intros; ring);
          rewrite sum_linear, Hp, Hq; ring).
    right. unfold a, b, high.
    pose proof (exp_above_one E HE). pose proof (exp_pos t). pose proof (exp_pos E).
    replace (exp (t - E)) with (exp t / exp E)
      by (unfold Rminus, Rdiv; rewrite exp_plus, exp_Ropp; reflexivity).
    replace (exp (E - t)) with (exp E / exp t)
      by (unfold Rminus, Rdiv; rewrite exp_plus, exp_Ropp; reflexivity).
    rewrite exp_Ropp. field. repeat split; nra.
Qed.

(** The perspective of a function convex in e^eps is convex. *)
Lemma perspective_convex D e : convex_in_exp D -> convex (fun r => r * D (e - ln r)).
Proof.
  intros HD x y w Hx Hy Hw.
  assert (Hz : 0 < w * x + (1 - w) * y) by (destruct Hw as [[Hw| <-] ?]; nra).
  set (z := w * x + (1 - w) * y) in *.
  assert (Hv : 0 <= w * x / z <= 1).
  { split.
    - unfold Rdiv. apply Rmult_le_pos; [nra|left; now apply Rinv_0_lt_compat].
    - apply Rmult_le_reg_r with z; [assumption|].
      unfold Rdiv. rewrite Rmult_assoc, Rinv_l; unfold z; nra. }
  assert (L : forall r, 0 < r -> exp (e - ln r) = exp e / r).
  { intros r Hr. unfold Rminus, Rdiv. rewrite exp_plus, exp_Ropp, exp_ln; auto. }
  assert (C : D (e - ln z) <= w * x / z * D (e - ln x) + (1 - w * x / z) * D (e - ln y)).
  { apply HD; [assumption|]. rewrite !L by assumption. unfold z. field. fold z. lra. }
  apply Rmult_le_compat_l with (r := z) in C; [|lra].
  eapply Rle_trans; [exact C|]. right. unfold z. field. fold z. lra.
Qed.

(** Lemma 1 in the form that Lemma 2 needs. *)
Lemma expected_curve D E t n p q e :
  convex_in_exp D -> 0 < E -> in_interval E t n p q ->
  sum n (fun i => p i * D (e - ln (p i / q i))) <= bracket E D t e.
Proof.
  intros HD HE H.
  pose proof (two_outcomes_are_the_worst _ E t n p q (perspective_convex D e HD) HE H) as W.
  cbv beta in W. destruct H as (_ & _ & H).
  eapply Rle_trans; [|eapply Rle_trans; [exact W|]].
  - apply sum_le. intros i Hi. destruct (H i Hi) as [[Hq|Hq] Hr].
    + right. field. lra.
    + rewrite <- Hq in *. assert (p i = 0) as -> by lra. lra.
  - rewrite !ln_exp. unfold bracket.
    replace (e - (t - E)) with (e - t + E) by ring.
    replace (exp (t - E)) with (/ exp (E - t)) by (rewrite <- exp_Ropp; f_equal; ring).
    rewrite exp_Ropp. pose proof (exp_pos t). pose proof (exp_pos (E - t)).
    right. field. lra.
Qed.

(** The curve after one more selection: the largest bracket, at every eps by itself. *)
Definition losses (E : posreal) : Type := { t : R | 0 <= t <= E }.

Definition zero_loss (E : posreal) : losses E.
Proof. exists 0. destruct E as [E HE]. simpl. lra. Defined.

Definition next (E : posreal) (D : curve) : curve.
Proof.
  refine (supremum_curve (losses E) (zero_loss E)
            (fun t e => bracket E D (proj1_sig t) e) _ _ _ _).
  - intros [t Ht] e. simpl. unfold bracket.
    pose proof (high_range E t (cond_pos E) Ht).
    pose proof (delta_range D (e - t)). pose proof (delta_range D (e - t + E)). nra.
  - intros e. unfold bracket. destruct (zero_loss E) as [t Ht]. simpl.
    pose proof (high_range E t (cond_pos E) Ht).
    pose proof (delta_range D (e - t)). pose proof (delta_range D (e - t + E)). nra.
  - intros [t Ht] a b H. simpl. unfold bracket.
    pose proof (high_range E t (cond_pos E) Ht).
    pose proof (delta_falls D (a - t) (b - t)). pose proof (delta_falls D (a - t + E) (b - t + E)).
    nra.
  - intros [t Ht] a b m w Hw Hm. simpl. unfold bracket.
    pose proof (high_range E t (cond_pos E) Ht).
    assert (S : forall r, exp (m + r) = w * exp (a + r) + (1 - w) * exp (b + r)).
    { intros r. rewrite !exp_plus, Hm. ring. }
    pose proof (delta_convex D (a - t) (b - t) (m - t) w Hw (S (- t))).
    assert (D (m - t + E) <= w * D (a - t + E) + (1 - w) * D (b - t + E)).
    { apply delta_convex; [assumption|].
      pose proof (S (- t + E)) as Q. rewrite <- !Rplus_assoc in Q. exact Q. }
    nra.
Defined.

Lemma bracket_below_next (E : posreal) (D : curve) t e :
  0 <= t <= E -> bracket E D t e <= next E D e.
Proof.
  intros Ht.
  exact (supremum_above (losses E) (zero_loss E)
           (fun t e => bracket E D (proj1_sig t) e) _ (exist _ t Ht) e).
Qed.

Lemma next_least (E : posreal) (D : curve) e y :
  (forall t, 0 <= t <= E -> bracket E D t e <= y) -> next E D e <= y.
Proof. intros H. apply supremum_least. intros [t Ht]. now apply H. Qed.

Theorem next_is_the_supremum (E : posreal) (D : curve) e :
  is_lub (fun y => exists t, 0 <= t <= E /\ y = bracket E D t e) (next E D e).
Proof.
  split.
  - intros y (t & Ht & ->). now apply bracket_below_next.
  - intros y H. apply next_least. intros t Ht. apply H. now exists t.
Qed.

(** Lemma 2: one selection, then anything that keeps [D] whatever was selected. [P i s] and
    [Q i s] are the chances of a test [s] of what comes after outcome [i]. *)
Theorem one_step {X} (E : posreal) (D : curve) n p q (P Q : nat -> X -> R) :
  bounded_range E n p q ->
  (forall i, (i < n)%nat -> bounds D (P i) (Q i)) ->
  bounds (next E D) (fun s : nat -> X => sum n (fun i => p i * P i (s i)))
                    (fun s => sum n (fun i => q i * Q i (s i))).
Proof.
  intros (t & Ht & H) B s e.
  apply Rle_trans with (sum n (fun i => p i * D (e - ln (p i / q i)))).
  - replace (sum n (fun i => p i * P i (s i)) - exp e * sum n (fun i => q i * Q i (s i)))
      with (sum n (fun i => 1 * (p i * P i (s i)) + (- exp e) * (q i * Q i (s i))))
      by (rewrite sum_linear; ring).
    apply sum_le. intros i Hi.
    destruct H as (_ & _ & H). destruct (H i Hi) as [[Hq|Hq] Hr].
    + assert (0 < p i) by (pose proof (exp_pos (t - E)); nra).
      assert (0 < p i / q i)
        by (unfold Rdiv; apply Rmult_lt_0_compat; [|apply Rinv_0_lt_compat]; assumption).
      pose proof (B i Hi (s i) (e - ln (p i / q i))) as Bi.
      unfold Rminus in Bi at 2. rewrite exp_plus, exp_Ropp, exp_ln in Bi by assumption.
      apply Rmult_le_compat_l with (r := p i) in Bi; [|lra].
      eapply Rle_trans; [|exact Bi]. right. field. lra.
    + rewrite <- Hq in *. assert (p i = 0) as -> by lra. lra.
  - eapply Rle_trans;
      [apply (expected_curve D E t); [apply delta_convex|apply cond_pos|assumption]|].
    now apply bracket_below_next.
Qed.

(** * The whole block *)

(** Selections one after another, each chosen by whoever has seen the outcomes before it; then
    any mechanism, chosen likewise, on any space and seen through its tests [X]. *)
Inductive run (X : Type) : Type :=
  | After (P Q : X -> R)
  | Selection (n : nat) (p q : nat -> R) (rest : nat -> run X).
Arguments After {X}. Arguments Selection {X}.

(** A test of the whole run sees the outcomes and picks a test of what comes after. *)
Definition test (X : Type) : Type := list nat -> X.

Fixpoint chance {X} (r : run X) : test X -> R :=
  match r with
  | After P _ => fun s => P (s [])
  | Selection n p _ rest =>
      fun s => sum n (fun i => p i * chance (rest i) (fun path => s (i :: path)))
  end.

Fixpoint other_chance {X} (r : run X) : test X -> R :=
  match r with
  | After _ Q => fun s => Q (s [])
  | Selection n _ q rest =>
      fun s => sum n (fun i => q i * other_chance (rest i) (fun path => s (i :: path)))
  end.

(** The ranges and their order are fixed in advance; [D] bounds what comes after. *)
Fixpoint follows {X} (ranges : list posreal) (D : curve) (r : run X) : Prop :=
  match ranges, r with
  | [], After P Q => bounds D P Q
  | E :: ranges, Selection n p q rest =>
      bounded_range E n p q /\ forall i, (i < n)%nat -> follows ranges D (rest i)
  | _, _ => False
  end.

(** The recursion, from the last selection to the first. *)
Fixpoint block (ranges : list posreal) (D : curve) : curve :=
  match ranges with
  | [] => D
  | E :: ranges => next E (block ranges D)
  end.

(** The theorem. *)
Theorem block_curve {X} ranges (D : curve) (r : run X) :
  follows ranges D r -> bounds (block ranges D) (chance r) (other_chance r).
Proof.
  revert r. induction ranges as [|E ranges IH]; intros [P Q|n p q rest] H;
    try (simpl in H; contradiction).
  - intros s e. apply H.
  - destruct H as [Hr H]. intros s e. simpl.
    apply (one_step E (block ranges D) n p q
             (fun i => chance (rest i)) (fun i => other_chance (rest i)) Hr
             (fun i Hi => IH (rest i) (H i Hi)) (fun i path => s (i :: path)) e).
Qed.

(** * Both directions *)

Fixpoint swapped {X} (r : run X) : run X :=
  match r with
  | After P Q => After Q P
  | Selection n p q rest => Selection n q p (fun i => swapped (rest i))
  end.

Lemma swapped_chance {X} (r : run X) s :
  chance (swapped r) s = other_chance r s /\ other_chance (swapped r) s = chance r s.
Proof.
  revert s. induction r as [P Q|n p q rest IH]; intros s; simpl; [now split|].
  split; apply sum_eq; intros i _; f_equal; apply IH.
Qed.

Lemma bounded_range_swapped E n p q : bounded_range E n p q -> bounded_range E n q p.
Proof.
  intros (t & Ht & Hp & Hq & H). exists (E - t). split; [lra|].
  split; [assumption|]. split; [assumption|]. intros i Hi. destruct (H i Hi) as [Hqi [Hlo Hhi]].
  replace (E - t - E) with (- t) by ring. rewrite exp_Ropp.
  replace (exp (E - t)) with (/ exp (t - E)) by (rewrite <- exp_Ropp; f_equal; ring).
  pose proof (exp_pos t). pose proof (exp_pos (t - E)).
  split; [nra|]. split.
  - apply Rmult_le_reg_l with (exp t); [assumption|]. rewrite <- Rmult_assoc, Rinv_r; lra.
  - apply Rmult_le_reg_l with (exp (t - E)); [assumption|].
    rewrite <- (Rmult_assoc (exp (t - E)) (/ _)), Rinv_r; lra.
Qed.

(** [D] bounds what comes after in both directions. *)
Fixpoint follows_both {X} (ranges : list posreal) (D : curve) (r : run X) : Prop :=
  match ranges, r with
  | [], After P Q => bounds D P Q /\ bounds D Q P
  | E :: ranges, Selection n p q rest =>
      bounded_range E n p q /\ forall i, (i < n)%nat -> follows_both ranges D (rest i)
  | _, _ => False
  end.

Lemma follows_one {X} ranges D (r : run X) : follows_both ranges D r -> follows ranges D r.
Proof.
  revert r. induction ranges as [|E ranges IH]; intros [P Q|n p q rest] H; simpl in *;
    try contradiction; [tauto|]. destruct H as [Hr H]. split; auto.
Qed.

Lemma follows_swapped {X} ranges D (r : run X) :
  follows_both ranges D r -> follows_both ranges D (swapped r).
Proof.
  revert r. induction ranges as [|E ranges IH]; intros [P Q|n p q rest] H; simpl in *;
    try contradiction; [tauto|].
  destruct H as [Hr H]. split; [now apply bounded_range_swapped|auto].
Qed.

Theorem block_curve_in_both_directions {X} ranges (D : curve) (r : run X) :
  follows_both ranges D r ->
  bounds (block ranges D) (chance r) (other_chance r) /\
  bounds (block ranges D) (other_chance r) (chance r).
Proof.
  intros H. split.
  - apply block_curve. now apply follows_one.
  - intros s e. destruct (swapped_chance r s) as [<- <-]. apply block_curve.
    now apply follows_one, follows_swapped.
Qed.

Lemma bracket_mirrored (E : posreal) (D : curve) t e : symmetric D ->
  bracket E D t (- e) = 1 - exp (- e) + exp (- e) * bracket E D (E - t) e.
Proof.
  intros S. unfold bracket.
  replace (- e - t) with (- (e + t)) by ring.
  replace (- (e + t) + E) with (- (e + t - E)) by ring.
  replace (e - (E - t)) with (e + t - E) by ring.
  replace (e + t - E + E) with (e + t) by ring.
  rewrite !S. pose proof (exp_above_one E (cond_pos E)).
  pose proof (exp_pos t). pose proof (exp_pos E). pose proof (exp_pos e).
  replace (- (e + t)) with (- e + - t) by ring.
  replace (- (e + t - E)) with (- e + (- t + E)) by ring.
  unfold high. replace (E - t) with (E + - t) by ring.
  rewrite !exp_plus, !exp_Ropp. field. repeat split; lra.
Qed.

Theorem next_symmetric E (D : curve) : symmetric D -> symmetric (next E D).
Proof.
  intros S e. pose proof (exp_pos (- e)).
  assert (I : exp e * exp (- e) = 1)
    by (rewrite <- exp_plus; replace (e + - e) with 0 by ring; apply exp_0).
  apply Rle_antisym.
  - apply next_least. intros t Ht. rewrite bracket_mirrored by assumption.
    pose proof (bracket_below_next E D (E - t) e). nra.
  - assert (N : next E D e <= 1 - exp e + exp e * next E D (- e)).
    { apply next_least. intros t Ht.
      pose proof (bracket_mirrored E D t (- e) S) as M. rewrite Ropp_involutive in M. rewrite M.
      pose proof (bracket_below_next E D (E - t) (- e)). pose proof (exp_pos e). nra. }
    apply Rmult_le_compat_l with (r := exp (- e)) in N; [|lra].
    replace (exp (- e) * (1 - exp e + exp e * next E D (- e)))
      with (exp (- e) - exp e * exp (- e) + exp e * exp (- e) * next E D (- e)) in N by ring.
    rewrite I in N. lra.
Qed.

Theorem block_symmetric ranges (D : curve) : symmetric D -> symmetric (block ranges D).
Proof.
  intros S. induction ranges as [|E ranges IH]; [assumption|]. now apply next_symmetric.
Qed.
