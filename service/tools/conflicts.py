"""Parameters that are valid each by itself, and cannot be given as they are together."""

import re
from collections.abc import Mapping, Sequence

from service.errors import Violation
from service.tools.signature import PLACE, Json, Kind, Parameter, Signature

_PATTERNS = {None: "A", "?": "A?", "*": "A*", "+": "A+"}


def find_conflicts(signature: Signature, parameters: Mapping[str, Json]) -> list[Violation]:
    """Return one violation for each parameter that another stands in the way of."""
    return [*_misplaced(signature.positionals, parameters), *_excluded(signature, parameters)]


def _misplaced(declared: Sequence[Parameter], parameters: Mapping[str, Json]) -> list[Violation]:
    """Find the positionals that would receive each other's values.

    argparse deals the positional values out by a regular expression, the leftmost first and
    greedily; this repeats it and compares.
    """
    counts = [_count(known, parameters.get(known.name)) for known in declared]
    pattern = "".join(f"({_pattern(known)})" for known in declared)
    dealt = re.fullmatch(pattern, "A" * sum(counts))
    if dealt is None:
        return []  # Too few or too many: the schema's rules have said so already.
    return [
        Violation(
            (*PLACE, known.name),
            "dependentRequired",
            f"{known.name} cannot be told from {_others(declared, known)}; give those too",
        )
        for known, count, group in zip(declared, counts, dealt.groups(), strict=True)
        if count and len(group) != count
    ]


def _count(parameter: Parameter, value: Json) -> int:
    if value is None:
        return 0
    return len(value) if parameter.takes_list and isinstance(value, list) else 1


def _pattern(parameter: Parameter) -> str:
    if isinstance(parameter.nargs, int):
        return "A" * parameter.nargs
    return _PATTERNS[parameter.nargs]


def _others(declared: Sequence[Parameter], parameter: Parameter) -> str:
    return ", ".join(
        known.name for known in declared if known is not parameter and not known.is_required
    )


def _excluded(signature: Signature, parameters: Mapping[str, Json]) -> list[Violation]:
    """Find the parameters that exclude each other, and the groups of which one must be given."""
    violations: list[Violation] = []
    for exclusion in signature.exclusions:
        given = [name for name in exclusion.names if _is_given(signature, parameters, name)]
        if len(given) > 1:
            message = f"{' and '.join(given)} exclude each other"
            violations += [Violation((*PLACE, name), "oneOf", message) for name in given]
        elif not given and exclusion.is_required:
            message = f"one of {', '.join(exclusion.names)} is required"
            violations.append(Violation(PLACE, "oneOf", message))
    return violations


def _is_given(signature: Signature, parameters: Mapping[str, Json], name: str) -> bool:
    """Tell whether the parameter will stand on the command line."""
    parameter, value = signature.parameter(name), parameters.get(name)
    if parameter is None or value is None:
        return False
    match parameter.kind:
        case Kind.FLAG:
            return parameter.flag_for(value) is not None
        case Kind.COUNT:
            return value != parameter.minimum
        case Kind.APPEND | Kind.EXTEND:
            return value != []
        case Kind.VALUE:
            is_left_out = parameter.may_stand_bare and value is False
            return not is_left_out and (value != [] or not parameter.is_positional)
