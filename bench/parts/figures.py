"""How every benchmark says what it measured."""


def figure(name: str, value: float, unit: str, target: str = "") -> None:
    """One line that a person and a script can read; `target` such as "<= 5", or "" for none."""
    line = f"figure {name} = {value:.4g} {unit}"
    if target:
        sign, bound = target.split()
        met = value <= float(bound) if sign == "<=" else value >= float(bound)
        line += f" target {target} {'met' if met else 'MISSED'}"
    print(line, flush=True)
