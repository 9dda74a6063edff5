"""A pipeline's name, and the parameters that a run of it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import Signature, signature
from typing import Any

from kfp import dsl


@dataclass(frozen=True)
class Form:
    """A pipeline's name and parameters.

    Attributes:
        name: The pipeline's name, by which results are cached too.
        display_name: What the dashboard calls it; None: its name.
        constants: The values of parameters that are fixed, and so left out.
        defaults: The default values of parameters.
    """

    name: str
    display_name: str | None = None
    constants: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def pipeline(self, function: Callable[..., None], *, unused: tuple[str, ...] = ()) -> Any:
        """The pipeline of a function that calls its tasks.

        Args:
            function: Its parameters are the pipeline's, less the constants.
            unused: Parameters that the compiled pipeline does not use, left out too.
        """
        constants = {**dict.fromkeys(unused, ""), **self.constants}
        parameters = [
            parameter.replace(default=self.defaults.get(name, parameter.default))
            for name, parameter in signature(function).parameters.items()
            if name not in constants
        ]
        parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)  # as Python wants them

        @wraps(function)
        def body(*arguments: Any) -> None:
            values = dict(zip((parameter.name for parameter in parameters), arguments, strict=True))
            function(**values, **constants)

        body.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # which KFP reads
        return dsl.pipeline(body, name=self.name, display_name=self.display_name)
