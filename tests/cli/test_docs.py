"""The generated docs know every objective, and say of a study what its report says."""

import shutil
import subprocess
import sys
from pathlib import Path

from fake_runs import make_run, toy_recipe

from triptych.cli import docs
from triptych.system.files import write_json

STRANGER = '''
from dataclasses import dataclass
from triptych.core import Move, Objective


@dataclass(frozen=True)
class Strange(Objective):
    """Minimise something | strange.

    Source: nobody.
    """

    weight: float = 2.0
    """how strange"""

    def step(self, model, batches, clock):
        yield Move("generator", model.decode(next(batches)).sum())
'''


def test_every_objective_has_a_row_and_a_page_with_code_and_source(tmp_path):
    pages = docs.build(tmp_path, [])
    table = (tmp_path / "objectives.md").read_text()
    for name in docs.objectives():
        assert f"[{name}](objectives/{name}.md)" in table
        page = (tmp_path / "objectives" / f"{name}.md").read_text()
        assert f"class {name}" in page
        assert "def " in page
    assert tmp_path / "studies.md" in pages
    assert "`triptych study toys`" in (tmp_path / "studies.md").read_text()


def test_a_strangers_objective_is_in_the_table_with_nothing_else_touched(tmp_path):
    source = Path(docs.__file__).parents[1]
    shutil.copytree(source, tmp_path / "triptych", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "triptych" / "objectives" / "stranger.py").write_text(STRANGER)
    code = "from triptych.cli import docs; print(docs.table_of_objectives())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True
    )
    assert "| [Strange](objectives/Strange.md) | Minimise something \\| strange. | `weight` |" in run.stdout.decode()


def test_a_study_becomes_gallery_and_advice(tmp_path):
    out = tmp_path / "study"
    runs = []
    for name, values in (("gan-25gaussians", (0.5, 0.52)), ("wgan-gp-25gaussians", (0.9, 0.91))):
        for seed, value in enumerate(values):
            run = make_run(out / f"{name}-{seed}", toy_recipe(name), seed, values={"high_quality": value}, points=2)
            runs.append({"run": run.name, "recipe": name, "seed": seed, "state": "done", "message": ""})
    write_json(out / "study.json", {"name": "tiny", "about": "Who?", "seeds": 2, "runs": runs})
    docs.build(tmp_path / "docs", [out])
    gallery = (tmp_path / "docs" / "gallery.md").read_text()
    assert "| | gan-25gaussians | wgan-gp-25gaussians |" in gallery
    assert "| High-quality samples ↑ | 0.500, 0.520 | 0.900, 0.910 |" in gallery
    assert (tmp_path / "docs" / "figures" / "tiny-25gaussians-wgan-gp-25gaussians.png").is_file()
    assert (tmp_path / "docs" / "figures" / "objective-WGANGP-25gaussians.png").is_file()
    assert "objective-WGANGP-25gaussians.png" in (tmp_path / "docs" / "objectives" / "WGANGP.md").read_text()
    assert "clearly better than gan-25gaussians" in (tmp_path / "docs" / "which-model.md").read_text()
    assert docs.main([str(tmp_path / "docs"), str(tmp_path)]) == 2
