"""The folder of the layers: what lies in it is somebody's, and may be anything."""

import os
import re

import pytest

from hookline.log.home import Home
from hookline.model.errors import BadData, TryAgain
from hookline.schedule.layers import alone, is_running, layer_names, load_layer, load_layers

LAYER = '[[steps]]\nname = "a"\nrun = "true"\n'


@pytest.fixture
def layers(home):
    """Writes files of layers."""
    home.layers.mkdir(0o750)
    home.coordination.chmod(0o750)

    def write(name, text=LAYER):
        path = home.layers / name
        path.write_text(text)
        path.chmod(0o640)
        return path

    return write


def test_a_layer_is_a_file(home, layers):
    layers("b.toml")
    layers("a.yaml", "steps: [{name: x, run: 'true'}]")
    layers(".hidden.toml")
    layers("notes.md")
    layers("a.yaml~")
    assert layer_names(home) == ["a", "b"]
    assert load_layer(home, "a").plan.steps[0].name == "x"
    found, wrong = load_layers(home)
    assert ([each.name for each in found], wrong) == (["a", "b"], [])


def test_without_a_folder_there_are_none(home):
    assert layer_names(home) == []
    with pytest.raises(BadData, match=r"no layer 'x'; none lies in .*/coordination/layers"):
        load_layer(home, "x")


def test_of_a_name_that_is_none_it_is_same_as_there_is(home, layers):
    layers("b.toml")
    for name in ("c", "../b", "", ".b", "b.toml", "B", "a\nb", "x" * 100, "/etc/passwd"):
        with pytest.raises(BadData, match=r"no layer .*; there are: b$"):
            load_layer(home, name)


def test_what_is_wrong_is_told_with_the_file_and_stops_no_other(home, layers):
    layers("good.toml")
    bad = layers("bad.toml", LAYER.replace("run", "rnu"))
    layers("Bad Name.toml")
    found, wrong = load_layers(home)
    assert [each.name for each in found] == ["good"]
    assert any(each.startswith(f"{bad}: Object contains unknown field `rnu`") for each in wrong)
    assert any("Bad Name.toml: the name of a layer is made of" in each for each in wrong)
    assert len(wrong) == 2


def test_two_files_are_not_one_layer(home, layers):
    layers("a.toml")
    layers("a.yml", "steps: [{name: x, run: 'true'}]")
    with pytest.raises(BadData, match=r"has a\.toml and a\.yml: which one is the layer a\?"):
        load_layer(home, "a")


def test_what_others_may_write_to_is_not_run(home, layers):
    path = layers("a.toml")
    path.chmod(0o666)
    with pytest.raises(BadData, match=re.escape(f"chmod go-w {path}")):
        load_layer(home, "a")
    path.chmod(0o640)
    home.layers.chmod(0o777)
    with pytest.raises(BadData, match=re.escape(f"chmod go-w {home.layers}")):
        load_layer(home, "a")


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_refused_and_not_waited_for(home, make):
    make(home.layers / "a.toml")
    with pytest.raises(BadData, match="is not a regular file: move it away"):
        load_layer(home, "a")


@pytest.mark.usefixtures("layers")
def test_a_link_that_leads_nowhere_is_refused(home):
    (home.layers / "a.toml").symlink_to("nowhere")
    with pytest.raises(BadData, match=r"a\.toml: No such file"):
        load_layer(home, "a")


@pytest.mark.usefixtures("layers")
def test_one_run_at_a_time_of_each_layer(home):
    assert not is_running(home, "a")
    with alone(home, "a"):
        assert is_running(home, "a")
        assert not is_running(home, "b")
        with alone(home, "b"):
            pass
        with pytest.raises(TryAgain, match="layer a is running already"), alone(home, "a"):
            pass
    assert not is_running(home, "a")
    with alone(home, "a"):
        pass


@pytest.mark.usefixtures("layers")
def test_the_lock_is_not_in_what_may_be_deleted(home):
    with alone(home, "a"):
        assert not list(home.state.iterdir())
        (lock,) = home.layers.iterdir()
        assert Home(home.root).layers == lock.parent
