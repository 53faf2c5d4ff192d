"""Units by their short form: how one and how several are said."""

from __future__ import annotations

import re

from muomni_core.text.rules import NUMBER, Rule


def _regular(names: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {short: (name, name + "s") for short, name in names.items()}


def _same(names: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {short: (name, name) for short, name in names.items()}


# With a space before them or without.
EITHER: dict[str, tuple[str, str]] = (
    _regular(
        {
            "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "kg": "kilogram",
            "mg": "milligram",
            "lb": "pound", "lbs": "pound", "oz": "ounce", "ml": "milliliter", "cl": "centiliter", "dl": "deciliter",
            "mL": "milliliter", "mi": "mile", "yd": "yard", "yds": "yard", "gal": "gallon", "tbsp": "tablespoon",
            "tsp": "teaspoon", "gb": "gigabyte", "mb": "megabyte", "kb": "kilobyte", "tb": "terabyte", "GB": "gigabyte",
            "MB": "megabyte", "KB": "kilobyte", "kB": "kilobyte", "TB": "terabyte", "PB": "petabyte", "kW": "kilowatt",
            "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour", "mAh": "milliamp hour", "kV": "kilovolt",
            "mV": "millivolt", "dB": "decibel", "cal": "calorie", "kcal": "kilocalorie", "kJ": "kilojoule",
            "hr": "hour", "hrs": "hour", "min": "minute", "mins": "minute", "sec": "second", "secs": "second",
            "ms": "millisecond", "yr": "year", "yrs": "year", "wk": "week", "wks": "week", "px": "pixel",
            "MP": "megapixel", "ha": "hectare", "kPa": "kilopascal", "hPa": "hectopascal", "m^2": "square meter",
            "m^3": "cubic meter", "km^2": "square kilometer", "cm^2": "square centimeter", "cm^3": "cubic centimeter",
            "m2": "square meter", "km2": "square kilometer", "m3": "cubic meter", "sqm": "square meter",
            "sq mi": "square mile", "cc": "cubic centimeter",
        }
    )
    | _same(
        {
            "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "kph": "kilometers per hour",
            "mph": "miles per hour", "km/h": "kilometers per hour", "kmh": "kilometers per hour",
            "m/s": "meters per second",
            "km/s": "kilometers per second", "mpg": "miles per gallon", "rpm": "revolutions per minute",
            "fps": "frames per second", "psi": "pounds per square inch", "dpi": "dots per inch",
            "bpm": "beats per minute",
            "kbps": "kilobits per second", "Mbps": "megabits per second", "Gbps": "gigabits per second",
            "MB/s": "megabytes per second", "GB/s": "gigabytes per second", "mg/dL": "milligrams per deciliter",
            "ppm": "parts per million",
        }
    )
    | {
        "ft": ("foot", "feet"), "sq ft": ("square foot", "square feet"), "sqft": ("square foot", "square feet"),
        "cu ft": ("cubic foot", "cubic feet"), "in^2": ("square inch", "square inches"),
    }
)  # fmt: skip

# One letter, in this case only.
LOOSE = _regular(
    {"m": "meter", "g": "gram", "L": "liter", "l": "liter", "W": "watt", "V": "volt", "h": "hour", "J": "joule"}
)

# Without a space only: after one they are other words.
TIGHT = _regular({"s": "second", "d": "day"}) | {"in": ("inch", "inches")}

# After a slash: "$5/kg", "10 mg/day".
PER = {
    "h": "hour", "hr": "hour", "hour": "hour", "s": "second", "sec": "second", "second": "second", "min": "minute",
    "minute": "minute", "day": "day", "d": "day", "wk": "week", "week": "week", "mo": "month", "month": "month",
    "yr": "year",
    "year": "year", "night": "night", "person": "person", "kg": "kilogram", "g": "gram", "lb": "pound",
    "km": "kilometer",
    "mile": "mile", "mi": "mile", "m": "meter", "gallon": "gallon", "gal": "gallon", "L": "liter", "l": "liter",
    "ml": "milliliter",
    "unit": "unit", "piece": "piece", "page": "page", "GB": "gigabyte",
}  # fmt: skip


def _names(units: dict) -> str:
    return "|".join(re.escape(u) for u in sorted(units, key=len, reverse=True))


def _unit(match: re.Match) -> str:
    number, gap, name = match[1], match[2], match[3]
    one, many = EITHER.get(name) or LOOSE.get(name) or TIGHT.get(name) or EITHER[name.lower()]
    return f"{number} {one if number == '1' or gap == '-' else many}"


# A number that no letter is glued to, and a unit after which a word, an exponent or a name does not go on. The full
# stop of the abbreviation goes along where the sentence clearly goes on.
_COUNT = rf"(?<![A-Za-z\d])(?<!\d[.,])({NUMBER})"
_FOLLOWS = r"(?![\w'°^]|\.\w)(?:\.(?=\s?(?-i:[a-z,;)])))?"
UNITS: list[Rule] = [
    (re.compile(r"\b401\s?\(?k\)?(?!\w)", re.I), "four oh one k"),
    (re.compile(r"\bv\.?\s?(?=\d+\.\d)"), "version "),
    (re.compile(r"(?<![\w.])(\d{1,2})'\s?(\d{1,2})(?:\"|'')"), r"\1 feet \2 inches"),
    (re.compile(r"(?<![\w'])(\d{1,3})'(?=\s+(?:tall|long|wide|high|deep|by)\b)"), r"\1 feet"),
    (re.compile(r"\b((?:ft\.?|feet)\s\d{1,2})\s?in\b\.?(?=\s*(?:$|[a-z,;:)]))"), r"\1 inches"),
    (re.compile(r"(\d)\s?in\.(?=\s*[,;:)]|\s+(?:of|by|long|tall|wide|high|deep|thick|in)\b)"), r"\1 inches"),
    (re.compile(r"°\s?([CFK])\b"), lambda m: {"C": "° celsius", "F": "° fahrenheit", "K": " kelvin"}[m[1]]),
    (re.compile(r"(?<![\d.])1°"), "1 degree"),
    (re.compile(r"°"), " degrees "),
    (re.compile(rf"{_COUNT}([ -]?)({_names(EITHER)}){_FOLLOWS}"), _unit),
    (
        re.compile(rf"{_COUNT}([ -]?)({_names(EITHER)}){_FOLLOWS}", re.I),
        lambda m: _unit(m) if m[3].lower() in EITHER else m[0],
    ),
    (re.compile(rf"{_COUNT}([ -]?)({_names(LOOSE)})(?![\w'°^])"), _unit),
    (re.compile(rf"{_COUNT}(-?)({_names(TIGHT)})(?![\w'°^])"), _unit),
    (re.compile(r"\^2\b"), " squared "),
    (re.compile(r"\^3\b"), " cubed "),
    (re.compile(rf"(?<=[a-z])\s?/\s?({_names(PER)})\b(?!/)"), lambda m: f" per {PER[m[1]]}"),
    (re.compile(r"(?<=\d)\s?%|%(?!\w)"), " percent"),
    (re.compile(rf"{_COUNT}(?<!\b[48])[Kk]\b"), r"\1 thousand"),
    (re.compile(rf"{_COUNT}\s?(?:M|mn)\b"), r"\1 million"),
    (re.compile(rf"{_COUNT}\s?(?:B|bn)\b"), r"\1 billion"),
]
