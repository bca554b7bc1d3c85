"""Puts the rows of benchmarks/results/boards.csv into boards.md: python docs/boards_table.py."""

import csv
from pathlib import Path

DOCS = Path(__file__).parent
ROWS = DOCS.parent / "benchmarks" / "results" / "boards.csv"
BEGIN, END = "<!-- rows: docs/boards_table.py -->\n", "<!-- end of rows -->\n"
COLUMNS = {  # of the CSV file, with their headings here
    "machine": "machine",
    "version": "version",
    "model": "model",
    "engine": "engine",
    "precision": "precision",
    "input": "input",
    "threads": "threads",
    "ms_p50": "p50 ms",
    "ms_p95": "p95 ms",
    "fps": "fps",
    "peak_memory_mb": "memory MB",
    "joules_per_frame": "J / frame",
    "throttled": "throttled",
}


def table(lines: list[dict[str, str]]) -> str:
    """The table in Markdown, machine by machine, the fastest first."""
    lines = sorted(lines, key=lambda line: (line["machine"], line["input"], line["model"], float(line["ms_p50"])))
    cells = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    cells += [[line[name].replace("|", "/") for name in COLUMNS] for line in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def main() -> None:
    """Replace what stands between the two comments."""
    page = DOCS / "boards.md"
    before, rest = page.read_text("utf-8").split(BEGIN)
    with ROWS.open(newline="", encoding="utf-8") as file:
        rows = table(list(csv.DictReader(file)))
    page.write_text(before + BEGIN + "\n" + rows + "\n" + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
