"""Tables: trained once, scored, written with what made them; rows of other networks stay."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError
from sharpline.lab.tables import load_table, reproduce
from sharpline.lab.training import provenance

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def table_file(recipe_file: Path) -> Path:
    content = {"sets": ["valid"], "rows": [{"recipe": recipe_file.name, "published": {"valid": 30.5}}]}
    path = recipe_file.parent / "table.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_row_says_how_it_was_made(data: Path, table_file: Path) -> None:
    table, plans = load_table(table_file)
    target = data / "results" / "table.csv"
    target.parent.mkdir()
    target.write_text("network,hours\nolder,3\ntiny,9\n")
    told: list[int] = []
    for _ in range(2):  # the second time everything is trained already
        reproduce(table, plans, data, data / "runs", target, begin=lambda plan: lambda step: told.append(step.step))
    assert told == list(range(1, 13))
    older, tiny = csv.DictReader(target.open())
    assert (older["network"], older["hours"], older["steps"]) == ("older", "3", "")
    assert tiny["network"] == "tiny"
    assert (tiny["steps"], tiny["training set"], tiny["valid published"]) == ("12", "train", "30.5")
    assert float(tiny["valid psnr_y"]) > 5
    assert tiny["processor"]


def test_mistakes_are_found_before_training(table_file: Path) -> None:
    with pytest.raises(UsageError, match="has no row vdsr; its rows are tiny"):
        load_table(table_file, ["vdsr"])
    table_file.write_text("sets: [a]\nrows: [{recipe: x.yaml, publisht: {}}]\n")
    with pytest.raises(UsageError, match="publisht"):
        load_table(table_file)
    table_file.write_text("- 1")
    with pytest.raises(UsageError, match="is to be a mapping"):
        load_table(table_file)


@pytest.mark.parametrize("path", sorted((RECIPES / "tables").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_tables_of_the_project_can_be_read(path: Path) -> None:
    _, plans = load_table(path)
    assert all(plan.recipe.steps > 0 for plan in plans)


def test_scoring_a_finished_run_leaves_what_made_it(
    data: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, plans = load_table(table_file)
    target, folder = data / "table.csv", data / "runs" / "tiny"

    def rows_at(commit: str) -> list[str]:
        monkeypatch.setattr(provenance, "commit", lambda: commit)
        return [
            row["commit"]
            for row in reproduce(table, plans, data, data / "runs", target, begin=lambda _: lambda _: None)
        ]

    assert rows_at("first") == ["first"]
    before = (folder / "provenance.json").read_text()
    assert rows_at("second") == ["first"]
    assert (folder / "provenance.json").read_text() == before
    table, plans = load_table(table_file, changes=["steps=16"])
    assert rows_at("third") == ["first, from step 12 third"]
    assert rows_at("fourth") == ["first, from step 12 third"]


def test_a_missing_set_is_found_before_the_first_training(data: Path, table_file: Path) -> None:
    table, plans = load_table(table_file)
    table = table.model_copy(update={"sets": ["nowhere"]})
    with pytest.raises(UsageError, match="nowhere"):
        reproduce(table, plans, data, data / "runs", data / "t.csv", begin=lambda _: lambda _: None)
    assert not (data / "runs").exists()
