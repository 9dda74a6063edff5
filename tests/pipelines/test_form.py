"""A pipeline's name and parameters."""

from kfp import dsl

from modelway.pipelines.form import Form


@dsl.component(base_image="python:3.11")
def echo(text: str) -> str:
    return text


def test_constants_are_no_parameters_and_defaults_are_optional() -> None:
    def body(first: str, second: str, third: str, fourth: str = "d") -> None:
        echo(text=first)
        echo(text=second)
        echo(text=third)
        echo(text=fourth)

    form = Form("visits-release", "Visits", constants={"first": "a"}, defaults={"third": "c"})
    pipeline = form.pipeline(body, unused=("fourth",))
    assert (pipeline.name, pipeline.pipeline_spec.pipeline_info.display_name) == ("visits-release", "Visits")
    inputs = pipeline.component_spec.inputs
    assert {name: (value.optional, value.default) for name, value in inputs.items()} == {
        "second": (False, None),
        "third": (True, "c"),
    }
