from pathlib import Path

import pytest

from kuma_sd import ConfigError, Labels
from kuma_sd.core.options import options_of
from kuma_sd.testing import TransformContract, target
from kuma_sd_bundled import labels as labels_plugin
from kuma_sd_bundled.labels import ChangeLabels, LabelsOptions

PLUGIN = labels_plugin.kuma_sd_transform_plugin()
ADD, RENAME, REMOVE = options_of(LabelsOptions)


class TestLabels(TransformContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> LabelsOptions:
        del directory
        return LabelsOptions(add=(("site", "$$fra"),), rename=(("env", "environment"),), remove=("odd", "absent"))


def changed(labels: Labels, add: str = "", rename: str = "", remove: str = "") -> Labels:
    options = LabelsOptions(ADD.parse(add), RENAME.parse(rename), REMOVE.parse(remove))
    (result,) = ChangeLabels(options)(labels, target())
    return result


def test_labels_are_added_or_set() -> None:
    assert changed({"a": "1"}, add="site = fra 1\n\n a=b=c ") == {"site": "fra 1", "a": "b=c"}


def test_labels_are_renamed_all_at_once() -> None:
    assert changed({"a": "1", "b": "2", "c": "3"}, rename="a=b\nb=a") == {"a": "2", "b": "1", "c": "3"}
    assert changed({"a": "1", "b": "2"}, rename="a = b") == {"b": "1"}
    assert changed({"a": "", "b": "2"}, rename="a=b\nabsent=c") == {"b": "2"}


def test_labels_are_removed_then_renamed_then_added() -> None:
    assert changed({"a": "1", "b": "2"}, remove="b absent", rename="b=c", add="b=new") == {"a": "1", "b": "new"}
    assert changed({"a": "1"}, rename="a=b", add="b=new") == {"b": "new"}


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE", "fra$1")
    monkeypatch.setenv("EMPTY", "")
    assert changed({}, add="site=${SITE}-${SITE}${EMPTY}$$") == {"site": "fra$1-fra$1$"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${UNSET}", "^the environment variable UNSET is not set, which site in add needs$"),
        ("$SITE", r"^the value of site in add has a \$ alone; write \$\$ for one, \${NAME} for a variable$"),
        ("a$", r"has a \$ alone"),
        ("${", r"has a \$ alone"),
        ("${A-B}", r"has a \$ alone"),
    ],
)
def test_a_variable_that_is_not_set_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    with pytest.raises(ConfigError, match=message):
        changed({}, add=f"site={value}")


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        (ADD, "a-b=c", "has 'a-b=c', which is no label name with = and a value"),
        (ADD, "a", "has 'a', which is no label name with"),
        (ADD, "a=", "has no value for a; remove takes a label away"),
        (ADD, "a=b\na=c", "has a twice"),
        (RENAME, "a=b-c", "has a=b-c, of which 'b-c' is no label name"),
        (RENAME, "a=b\nc=b", "has b twice"),
        (REMOVE, "a b-c", "has 'b-c', which is no label name"),
    ],
)
def test_what_is_no_label_is_refused(option: object, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        option.parse(text)  # type: ignore[attr-defined] # (an Option)


@pytest.mark.parametrize("text", ["", "a=b", "a=${B} c\nd=$$"])
def test_what_is_set_is_shown_as_it_was_set(text: str) -> None:
    assert ADD.show(ADD.parse(text)) == text


def test_something_must_be_set() -> None:
    with pytest.raises(ConfigError, match=r"^there is nothing to change; set add, rename or remove$"):
        ChangeLabels(LabelsOptions())
