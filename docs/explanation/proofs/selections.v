(** Which mechanisms have a bounded range; the exponential mechanism is one. *)
From Coq Require Import Reals Lra Lia Psatz List.
From Proofs Require Import sums curves block.
Open Scope R_scope.

Lemma largest_ratio n (p q : nat -> R) : (0 < n)%nat ->
  (forall i, (i < n)%nat -> 0 < p i /\ 0 < q i) ->
  exists m, (m < n)%nat /\ forall i, (i < n)%nat -> p i * q m <= p m * q i.
Proof.
  induction n as [|n IH]; intros Hn H; [lia|].
  destruct (Nat.eq_dec n 0) as [-> |N].
  - exists O. split; [lia|]. intros i Hi. assert (i = O) as -> by lia. lra.
  - destruct IH as (m & Hm & M); [lia|intros; apply H; lia|].
    destruct (H n ltac:(lia)) as [Pn Qn]. destruct (H m ltac:(lia)) as [Pm Qm].
    destruct (Rle_dec (p n * q m) (p m * q n)) as [L|L].
    + exists m. split; [lia|]. intros i Hi.
      destruct (Nat.eq_dec i n) as [-> |]; [assumption|apply M; lia].
    + exists n. split; [lia|]. intros i Hi.
      destruct (Nat.eq_dec i n) as [-> |]; [lra|].
      destruct (H i ltac:(lia)) as [Pi Qi]. pose proof (M i ltac:(lia)).
      apply Rmult_le_reg_r with (q m); [assumption|]. nra.
Qed.

(** As it is usually defined: no two log-ratios are further apart than [E]. Then the interval may
    be taken as [[t - E, t]] with [t] between 0 and [E]. *)
Theorem ratios_no_further_apart E n p q :
  sum n p = 1 -> sum n q = 1 ->
  (forall i, (i < n)%nat -> 0 < p i /\ 0 < q i) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> p i * q j <= exp E * (p j * q i)) ->
  bounded_range E n p q.
Proof.
  intros Hp Hq H R.
  assert (Hn : (0 < n)%nat) by (destruct n; [simpl in Hp; lra|lia]).
  destruct (largest_ratio n p q Hn H) as (m & Hm & M). destruct (H m Hm) as [Pm Qm].
  assert (Hr : 0 < p m / q m)
    by (unfold Rdiv; apply Rmult_lt_0_compat; [|apply Rinv_0_lt_compat]; assumption).
  set (t := ln (p m / q m)).
  assert (T : exp t = p m / q m) by (apply exp_ln; assumption).
  assert (TE : exp (t - E) = p m / q m / exp E)
    by (unfold Rminus; rewrite exp_plus, exp_Ropp, T; reflexivity).
  pose proof (exp_pos E).
  assert (I : forall i, (i < n)%nat -> exp (t - E) * q i <= p i <= exp t * q i).
  { intros i Hi. destruct (H i Hi) as [Pi Qi]. rewrite T, TE. split.
    - apply Rmult_le_reg_r with (q m * exp E); [nra|].
      replace (p m / q m / exp E * q i * (q m * exp E)) with (p m * q i) by (field; lra).
      pose proof (R m i Hm Hi). nra.
    - apply Rmult_le_reg_r with (q m); [assumption|].
      replace (p m / q m * q i * q m) with (p m * q i) by (field; lra). now apply M. }
  assert (S : forall c, sum n (fun i => c * q i) = c)
    by (intros c; rewrite (sum_eq n _ (fun i => c * q i + 0 * q i)) by (intros; ring);
        rewrite sum_linear, Hq; ring).
  assert (Hi1 : 1 <= exp t).
  { rewrite <- (S (exp t)), <- Hp. apply sum_le. intros i Hi. now apply I. }
  assert (Lo1 : exp (t - E) <= 1).
  { rewrite <- (S (exp (t - E))), <- Hp. apply sum_le. intros i Hi. now apply I. }
  exists t. split.
  - split.
    + destruct (Rle_dec 0 t) as [L|L]; [assumption|].
      assert (exp t < exp 0) by (apply exp_increasing; lra). rewrite exp_0 in *. lra.
    + destruct (Rle_dec t E) as [L|L]; [assumption|].
      assert (exp 0 < exp (t - E)) by (apply exp_increasing; lra). rewrite exp_0 in *. lra.
  - repeat split; try assumption; try (now apply I). left. now apply H.
Qed.

Definition softmax (n : nat) (a : nat -> R) (i : nat) : R :=
  exp (a i) / sum n (fun j => exp (a j)).

Lemma softmax_positive n a : (0 < n)%nat -> 0 < sum n (fun j => exp (a j)).
Proof.
  intros Hn. destruct n as [|n]; [lia|]. simpl. pose proof (exp_pos (a n)).
  assert (0 <= sum n (fun j => exp (a j))) by (apply sum_nonneg; intros; left; apply exp_pos). lra.
Qed.

Lemma softmax_sum n a : (0 < n)%nat -> sum n (softmax n a) = 1.
Proof.
  intros Hn. pose proof (softmax_positive n a Hn). unfold softmax.
  set (z := sum n (fun j => exp (a j))) in *.
  rewrite (sum_eq n _ (fun i => / z * exp (a i) + 0 * exp (a i))) by (intros; field; lra).
  rewrite sum_linear. fold z. field. lra.
Qed.

(** The exponential mechanism: chances in proportion to [exp (a i)]; the changes of two [a] under
    a neighbour differ by at most [E]. So it is if each moves by at most [E / 2], either way, and
    if all move the same way by at most [E]. *)
Theorem exponential_mechanism_has_bounded_range E n a b : (0 < n)%nat ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> (a i - b i) - (a j - b j) <= E) ->
  bounded_range E n (softmax n a) (softmax n b).
Proof.
  intros Hn H. pose proof (softmax_positive n a Hn). pose proof (softmax_positive n b Hn).
  assert (Z : forall c x, 0 < c -> 0 < exp x / c)
    by (intros; unfold Rdiv; apply Rmult_lt_0_compat; [apply exp_pos|now apply Rinv_0_lt_compat]).
  apply ratios_no_further_apart; [now apply softmax_sum|now apply softmax_sum| |].
  - intros i _. unfold softmax. split; now apply Z.
  - intros i j Hi Hj. unfold softmax.
    set (za := sum n (fun j => exp (a j))) in *. set (zb := sum n (fun j => exp (b j))) in *.
    apply Rmult_le_reg_r with (za * zb); [nra|].
    replace (exp (a i) / za * (exp (b j) / zb) * (za * zb)) with (exp (a i + b j))
      by (rewrite exp_plus; field; lra).
    replace (exp E * (exp (a j) / za * (exp (b i) / zb)) * (za * zb)) with (exp (E + (a j + b i)))
      by (rewrite !exp_plus; field; lra).
    apply exp_le. pose proof (H i j Hi Hj). lra.
Qed.
