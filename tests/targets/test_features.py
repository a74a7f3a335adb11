"""What a version of ESP-DL changes about a target."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tinsmith.errors import RecipeError
from tinsmith.targets import CURRENT, OLDEST, TARGETS, Target, Version, caveat, find, lacking
from tinsmith.targets.features import FEATURES


def test_features_change_fields_that_exist() -> None:
    names = {field.name for field in fields(Target)}
    for feature in FEATURES:
        assert set(feature.without) <= names
        assert OLDEST < feature.since <= CURRENT


def test_every_chip_speaks_the_current_version() -> None:
    for name, target in TARGETS.items():
        assert target.esp_dl == CURRENT
        assert find(name, "3.3.9") == target
        assert find(name, CURRENT) == find(target) == target


@pytest.mark.parametrize(("version", "per_channel"), [("3.2.0", False), ("3.3.0", False), ("3.3.1", True)])
def test_exponents_per_channel_came_with_3_3_1(version: str, per_channel: bool) -> None:
    assert find("esp32p4", version).per_channel is per_channel
    assert not find("esp32s3", version).per_channel


@pytest.mark.parametrize(("version", "interpolated"), [("3.2.0", True), ("3.3.7", True), ("3.3.8", False)])
def test_int16_tables_were_interpolated_before_3_3_8(version: str, interpolated: bool) -> None:
    assert find("esp32p4", version).interpolated_tables is interpolated
    assert find("esp32s3", version).interpolated_tables is interpolated


def test_newer_releases_are_taken_to_compute_the_same() -> None:
    assert find("esp32p4", "3.4.0") == replace(TARGETS["esp32p4"], esp_dl=Version(3, 4, 0))


def test_a_version_that_is_too_old_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"ESP-DL 3\.1\.0 is older than any .* Update ESP-DL in the firmware to 3\.2\.0"
    ):
        find("esp32s3", "3.1.0")


@pytest.mark.parametrize(("chip", "since"), [("esp32c3", "3.3.0"), ("esp32s2", "3.3.0"), ("esp32s31", "3.3.3")])
def test_chips_came_with_releases(chip: str, since: str) -> None:
    assert find(chip, since).name == chip
    with pytest.raises(RecipeError, match=f"{chip} itself needs ESP-DL ≥ {since}; the target speaks 3.2.4: update"):
        find(chip, "3.2.4")


def test_a_target_made_for_an_old_version_is_not_made_newer() -> None:
    old = find("esp32p4", "3.3.0")
    assert find(old) is old
    assert find(old, "3.2.0").esp_dl == OLDEST
    with pytest.raises(RecipeError, match=r"was made for ESP-DL 3\.3\.0, and 3\.3\.9 is newer\. Start from the chip's"):
        find(old, "3.3.9")
    between = find("esp32p4", "3.3.8")
    assert find(between, "3.3.9") == TARGETS["esp32p4"]


def test_targets_are_equal_by_all_they_say_and_serve_as_keys() -> None:
    target = TARGETS["esp32s3"]
    same, other = replace(target), replace(target, linear={**target.linear, 8: target.linear[16]})
    assert (same, hash(same)) == (target, hash(target))
    assert other != target
    assert {target: 1, other: 2, same: 3} == {target: 3, other: 2}


def test_what_is_lacking_says_the_way_out() -> None:
    assert lacking("Pow", Version(3, 2, 4), Version(3, 2, 4)) is None
    assert lacking("Pow", Version(3, 2, 4), Version(3, 2, 0)) == (
        "Pow needs ESP-DL ≥ 3.2.4; the target speaks 3.2.0: update ESP-DL in the firmware."
    )


def test_a_version_that_was_not_checked_is_told() -> None:
    assert caveat(find("esp32s3")) is None
    assert "of 3.2.0 tinsmith knows the differences listed in the manual" in str(caveat(find("esp32s3", "3.2.0")))
    assert "of 3.9.0 tinsmith knows nothing that differs" in str(caveat(find("esp32s3", "3.9.0")))
