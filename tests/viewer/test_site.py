"""A site on the disk: a file for every scene, and words where one could not be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.comparison_scenes import Scenes, open_scenes
from latentvla_agent.viewer import site as site_module
from latentvla_agent.viewer.shown_runs import collect_plans, read_runs
from latentvla_agent.viewer.site import PAGE_FOLDER, SceneMaterial, SiteConfig, check_folder, write_site
from tests.evaluation.comparison_runs import Runs
from tests.viewer.test_site_data import read_script


def make_site(runs: Runs, out: Path, lost: int = 0) -> Dict[str, Any]:
    """The site of a run, the first `lost` scenes of which are gone; returns what the page reads first."""
    shown = read_runs([runs.folder])
    scenes = open_scenes(shown.first, shown.logs)
    kept = {token: ref for number, (token, ref) in enumerate(scenes.refs.items()) if number >= lost}
    material = SceneMaterial(Scenes(scenes.setup, kept), collect_plans(shown))
    assert write_site(shown, material, SiteConfig(out, time_limit=600.0)) == out / "index.html"
    site: Dict[str, Any] = read_script((out / "site.js").read_bytes())[2]
    return site


@pytest.mark.slow
def test_every_scene_has_a_file(runs: Runs, tmp_path: Path) -> None:
    site = make_site(runs, tmp_path / "site")
    assert site["tokens"] == [ref.token for ref in runs.index.refs] and site["drawn"] and not site["notes"]
    for number in range(2):
        kind, key, sketch = read_script((tmp_path / "site" / f"scenes/000/{number}.js").read_bytes())
        assert (kind, key) == ("scene", str(number))
        assert sketch["token"] == site["tokens"][number]
        assert [plan["agent"] for plan in sketch["plans"]] == ["fast", "slow-seed0", "slow-seed1"]
        assert "no picture of the front camera" in sketch["noPhoto"] and sketch["projection"] is None
    shown = sorted(path.name for path in (tmp_path / "site").iterdir())
    scripts = [path.name for path in PAGE_FOLDER.glob("*.js")]
    assert shown == sorted([*scripts, ".lock", "agents", "index.html", "page.css", "scenes", "site.js"])
    style = (tmp_path / "site" / "page.css").read_text()
    assert "--agent-0:" in style and ".panes" in style


@pytest.mark.slow
def test_a_scene_that_is_gone_is_told(runs: Runs, tmp_path: Path) -> None:
    make_site(runs, tmp_path / "site")
    site = make_site(runs, tmp_path / "site", lost=1)
    token = runs.index.refs[0].token
    assert site["notes"] == [f"scene {token} is not drawn: not in the logs"]
    assert "problem" in read_script((tmp_path / "site" / "scenes/000/0.js").read_bytes())[2]
    assert "plans" in read_script((tmp_path / "site" / "scenes/000/1.js").read_bytes())[2]


def test_without_scenes_there_are_scores(runs: Runs, tmp_path: Path) -> None:
    shown = read_runs([runs.folder])
    write_site(shown, SceneMaterial(None, {}, notes=["no scene is drawn: gone"]), SiteConfig(tmp_path / "site"))
    site = read_script((tmp_path / "site" / "site.js").read_bytes())[2]
    assert not site["drawn"] and site["notes"] == ["no scene is drawn: gone"]
    assert (tmp_path / "site" / "agents" / "2.js").is_file() and not (tmp_path / "site" / "scenes").exists()


def test_an_interrupted_site_has_nothing_to_show(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, material = read_runs([runs.folder]), SceneMaterial(None, {}, notes=["no scene is drawn: gone"])
    config = SiteConfig(tmp_path / "site")
    write_site(shown, material, config)

    def interrupt(*_: Any) -> None:
        with pytest.raises(DataError, match="another run is writing here"):
            write_site(shown, material, config)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(site_module, "paint_scenes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_site(shown, material, config)
    assert not (tmp_path / "site" / "site.js").exists() and (tmp_path / "site" / "index.html").is_file()
    write_site(shown, material, config)
    assert (tmp_path / "site" / "site.js").is_file()


def test_a_site_that_was_hardly_begun_is_made_again(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("")
    (tmp_path / ".page.css.x1y2").write_text("")
    check_folder(tmp_path)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(DataError, match="expected an empty folder or a site of latentvla show"):
        check_folder(tmp_path / "mine")
