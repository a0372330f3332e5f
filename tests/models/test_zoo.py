"""The zoo's entries, and how it answers to names that it does not know."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.errors import UnknownModelError
from models.zoo import Zoo, load_zoo

ENTRY = """
  - name: net
    role: pose
    architecture: rtmpose
    arguments: {scale: s}
    format: pth
    file: net.pth
    sha256_prefix: "01234567"
    licence: MIT
    provenance: a test
    accuracy: []
    sources: [{url: "https://example.org/net.pth"}]
"""


@pytest.fixture
def write(tmp_path: Path):
    def zoo_of(*entries: str) -> Path:
        path = tmp_path / "zoo.yaml"
        path.write_text("models:" + "".join(entries))
        return path

    return zoo_of


def test_the_packaged_zoo_is_valid_and_has_one_default_for_each_role() -> None:
    assert sorted(model.role for model in load_zoo().defaults) == ["detector", "masks", "pose"]


def test_every_default_and_the_demo_video_can_be_had_where_only_the_package_index_is_reachable() -> None:
    zoo = load_zoo()
    assert all(entry.on_index and entry.sha256 and entry.size for entry in (*zoo.defaults, zoo.find("vtest")))


def test_the_default_configuration_names_models_of_the_zoo_in_their_roles() -> None:
    from stream.config import Config

    config = Config()
    named = {config.detector.model: "detector", config.pose.model: "pose", config.masks.model: "masks"}
    assert named == {model.name: model.role for model in load_zoo().defaults}


def test_digests_agree_with_the_digits_in_the_publishers_file_names() -> None:
    published = [model for model in load_zoo().models if model.sha256_prefix]
    assert len(published) >= 13
    assert all(model.sha256_prefix in model.file and str(model.sources[0]).endswith(model.file) for model in published)


def test_weights_whose_data_terms_are_narrower_than_their_licence_carry_the_warning() -> None:
    for model in load_zoo().models:
        if any(word in model.file for word in ("humanart", "aic", "body7")):
            assert "non-commercial" in model.provenance, model.name


def test_another_server_than_that_of_the_authors_is_written_down() -> None:
    """The package index among them: an environment may have one of its own."""
    hosts = {
        source.url.split("/")[2] for entry in load_zoo().entries for source in entry.sources if hasattr(source, "url")
    }
    assert hosts == {
        "download.openmmlab.com", "download.pytorch.org", "drive.usercontent.google.com", "github.com",
        "pjreddie.com", "raw.githubusercontent.com", "storage.googleapis.com", "www-personal.umich.edu",
    }  # fmt: skip


def test_an_unknown_name_is_answered_with_the_closest_ones() -> None:
    with pytest.raises(
        UnknownModelError, match=r"no model called 'yolox-tiny-humanat'; did you mean yolox-tiny-humanart"
    ):
        load_zoo().entry("yolox-tiny-humanat")


def test_a_name_unlike_any_other_is_answered_with_how_to_see_them() -> None:
    with pytest.raises(UnknownModelError, match="'peoplestream models list'"):
        load_zoo().entry("zzz")


def test_a_model_of_another_role_is_not_taken() -> None:
    with pytest.raises(UnknownModelError, match="no pose called 'yolox-tiny-humanart'"):
        load_zoo().entry("yolox-tiny-humanart", "pose")


def test_an_asset_is_not_a_model_but_is_found() -> None:
    zoo = load_zoo()
    assert zoo.find("vtest").file == "vtest.avi"
    with pytest.raises(UnknownModelError):
        zoo.entry("vtest")


def test_a_name_given_twice_is_refused(write) -> None:
    with pytest.raises(ValidationError, match="names given twice: net"):
        load_zoo(write(ENTRY, ENTRY))


def test_an_entry_without_a_digest_is_refused(write) -> None:
    with pytest.raises(ValidationError, match="sha256 or sha256_prefix"):
        load_zoo(write(ENTRY.replace('    sha256_prefix: "01234567"\n', "")))


def test_an_unknown_key_is_refused(write) -> None:
    with pytest.raises(ValidationError, match="checksum"):
        load_zoo(write(ENTRY + "    checksum: 1\n"))


def test_a_file_name_that_leaves_the_cache_is_refused(write) -> None:
    with pytest.raises(ValidationError, match="file"):
        load_zoo(write(ENTRY.replace("file: net.pth", "file: ../net.pth")))


def test_a_wheel_without_a_python_version_for_pip_is_refused(write) -> None:
    source = "{project: p, version: '1', archive: p-1-py3-none-any.whl, member: m, sha256: '" + 64 * "0" + "'}"
    with pytest.raises(ValidationError, match="needs `python`"):
        load_zoo(write(ENTRY.replace('{url: "https://example.org/net.pth"}', source)))


def test_entries_cannot_be_changed_by_one_user_under_another(write) -> None:
    zoo: Zoo = load_zoo(write(ENTRY))
    with pytest.raises(ValidationError, match="frozen"):
        zoo.models[0].name = "other"  # type: ignore[misc]
