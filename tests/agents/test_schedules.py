"""The epsilon schedule."""

from itertools import accumulate

import pytest

from agents import PAPER_SCHEDULE, EpsilonSchedule

TABLE_2 = [  # epsilon, number of unique models
    (1.0, 1500),
    (0.9, 100),
    (0.8, 100),
    (0.7, 100),
    (0.6, 150),
    (0.5, 150),
    (0.4, 150),
    (0.3, 150),
    (0.2, 150),
    (0.1, 150),
]


def model_by_model(phases) -> list[float]:
    return [epsilon for epsilon, models in phases for _ in range(models)]


def test_the_paper_s_schedule_is_table_2():
    assert [PAPER_SCHEDULE.epsilon(n) for n in range(2_700)] == model_by_model(TABLE_2)
    assert PAPER_SCHEDULE.total == 2_700


@pytest.mark.parametrize(
    ("unique", "epsilon"),
    [(0, 1.0), (1_499, 1.0), (1_500, 0.9), (1_799, 0.7), (1_800, 0.6), (2_549, 0.2), (2_550, 0.1)],
)
def test_a_phase_ends_when_its_models_have_been_seen(unique, epsilon):
    assert PAPER_SCHEDULE.epsilon(unique) == epsilon


@pytest.mark.parametrize("unique", [2_699, 2_700, 2_701, 10**9])
def test_the_last_epsilon_stays(unique):
    assert PAPER_SCHEDULE.epsilon(unique) == 0.1


def test_scaling_sums_exactly_to_the_total():
    for total in [*range(1, 1_000), 2_699, 2_700, 2_701, 10_007]:
        scaled = PAPER_SCHEDULE.scaled(total)
        assert scaled.total == sum(models for _, models in scaled.phases) == total


def test_scaling_keeps_the_order_and_every_phase_that_still_has_models():
    epsilons = [epsilon for epsilon, _ in TABLE_2]
    for total in range(1, 1_000):
        kept = [epsilon for epsilon, _ in PAPER_SCHEDULE.scaled(total).phases]
        assert kept == sorted(kept, reverse=True)
        assert set(kept) <= set(epsilons)
        if total >= 27:  # then the shortest phase, 100 of 2,700, is one model
            assert kept == epsilons


def test_scaling_moves_no_boundary_by_more_than_half_a_model():
    ends = list(accumulate(models for _, models in TABLE_2))
    for total in range(1, 1_000):
        models = dict(PAPER_SCHEDULE.scaled(total).phases)
        scaled = accumulate(models.get(epsilon, 0) for epsilon, _ in TABLE_2)
        assert all(
            abs(end - paper_end * total / 2_700) <= 0.5
            for end, paper_end in zip(scaled, ends, strict=True)
        )


def test_scaling_to_its_own_total_changes_nothing():
    assert PAPER_SCHEDULE.scaled(2_700) == PAPER_SCHEDULE


@pytest.mark.parametrize(
    "phases",
    [
        (),
        ((1.0, 0),),
        ((1.0, -5),),
        ((1.1, 10),),
        ((-0.1, 10),),
        ((float("nan"), 10),),
        ((1.0, 10), (0.5, 0)),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(phases):
    with pytest.raises(ValueError, match="schedule"):
        EpsilonSchedule(phases)


@pytest.mark.parametrize("total", [0, -1])
def test_there_is_no_schedule_for_no_models(total):
    with pytest.raises(ValueError, match="schedule"):
        PAPER_SCHEDULE.scaled(total)
