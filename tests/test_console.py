"""What the terminal shows of animals: the truth beside the answers, and the clips where nothing was found."""

import pytest

from trapmeter.console import print_animals
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.report.comparison import truth_by_animal
from trapmeter.tables.truth import TruthRow

BOX, ELSEWHERE = Box(0.1, 0.1, 0.3, 0.5, 0.9), Box(0.6, 0.6, 0.9, 0.9, 0.9)


def measured(media_id: str, time_s: float, animal_id: int, box: Box, metres: float) -> Estimate:
    seen = Observation(media_id, time_s, box, animal_id=animal_id)
    return Estimate(seen, Status.MEASURED, Distance(metres, metres - 1, metres + 1), model_id="m")


def test_animals_stand_beside_their_truth_and_clips_without_any_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    estimates = [measured("a.mp4", t, 1, BOX, 4.0 + t) for t in (0.0, 1.0, 2.0)]
    estimates += [
        measured("a.mp4", 0.0, 2, ELSEWHERE, 9.0),
        Estimate(Observation("b.mp4", 0.0), Status.NO_ANIMAL),
    ]
    truth = [TruthRow("a.mp4", t, 3.0 + t, BOX) for t in (0.0, 1.0, 2.0)]
    found = truth_by_animal(estimates, truth)
    assert found == {("a.mp4", 1): 4.0}
    print_animals({"boxes": estimates, "network": estimates[:3]}, found)
    head, first, second, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["seconds", "truth", "boxes", "network"]
    assert " ".join(first.split()) == "a.mp4 animal 1 3 4.0 m 5.0 m (4.0 to 6.0) 5.0 m (4.0 to 6.0)"
    assert " ".join(second.split()) == "a.mp4 animal 2 1 - 9.0 m (8.0 to 10.0)"
    assert last.split() == ["b.mp4", "no", "animal", "found"]
