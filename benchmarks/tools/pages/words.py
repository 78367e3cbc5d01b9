"""Random words, numbers and phrases for printed pages."""

import numpy as np

COMMON_WORDS = (
    "the and of to in is for name date total amount page order invoice number street phone tax price sum cash card "
    "water meter reading value time from until please sign here les des une pour avec nom prénom adresse montant rue "
    "ville facture somme chèque livre der die das und für mit Straße Betrag Datum Summe Menge Preis Konto Rechnung il "
    "della numero via totale prezzo data importo los del calle fecha cantidad het een van naam bedrag datum"
)
SYLLABLE_TEXT = (
    "ba be bi bo bu ca ce co da de di do fa fe fi ga ge go ha he ho in ka ki la le li lo ma me mi mo na ne ni no on or "
    "pa pe po qu ra re ri ro sa se si so st ta te ti to tr un va ve vi wo ya za an en er es el al ing tion ment sch"
)
COMMON, SYLLABLES = COMMON_WORDS.split(), SYLLABLE_TEXT.split()
UNITS = ("kg", "g", "m", "cm", "l", "%", "€", "$", "£", "EUR", "kWh", "m³", "°C", "x", "St", "pcs", "CHF", "h", "km")
CURRENCIES = ("€", "$", "£", "EUR ", "USD ", "")


def word(rng: np.random.Generator) -> str:
    """A word, real or made of syllables, in any case."""
    if rng.random() < 0.5:
        made = COMMON[rng.integers(len(COMMON))]
    else:
        made = "".join(SYLLABLES[rng.integers(len(SYLLABLES))] for _ in range(rng.integers(1, 5)))
    case = rng.random()
    if case < 0.2:
        made = made.capitalize()
    elif case < 0.28:
        made = made.upper()
    if rng.random() < 0.14:
        made += ",.;:!?)"[rng.integers(7)]
    return made


def digits(rng: np.random.Generator, least: int = 1, most: int = 6) -> str:
    """So many random digits, the length at random."""
    return "".join(map(str, rng.integers(0, 10, rng.integers(least, most + 1))))


def amount(rng: np.random.Generator) -> str:
    """A price in one of several national forms."""
    whole, cents = digits(rng, 1, 4), digits(rng, 2, 2)
    point = ".,"[rng.integers(2)]
    currency = CURRENCIES[rng.integers(len(CURRENCIES))]
    if len(whole) > 3 and rng.random() < 0.5:
        whole = f"{whole[0]}{'.,'[point == '.']}{whole[1:]}"
    return f"{currency}{whole}{point}{cents}" if rng.random() < 0.5 else f"{whole}{point}{cents} {currency}".strip()


def number(rng: np.random.Generator) -> str:
    """A number as text has them: plain, an amount, a date, a time, a percentage, with a unit, a phone number."""
    kind = rng.random()
    if kind < 0.3:
        return digits(rng)
    if kind < 0.5:
        return amount(rng)
    if kind < 0.65:
        day, month, year = int(rng.integers(1, 32)), int(rng.integers(1, 13)), int(rng.integers(1900, 2031))
        mark = "./-"[rng.integers(3)]
        if rng.random() < 0.3:
            return f"{year}-{month:02}-{day:02}"
        return f"{day:02}{mark}{month:02}{mark}{year if rng.random() < 0.6 else f'{year % 100:02}'}"
    if kind < 0.72:
        return f"{rng.integers(24):02}:{rng.integers(60):02}"
    if kind < 0.8:
        return f"{digits(rng, 1, 2)}%"
    if kind < 0.92:
        return f"{digits(rng, 1, 4)} {UNITS[rng.integers(len(UNITS))]}"
    if kind < 0.96:
        return " ".join(digits(rng, 2, 4) for _ in range(3))
    return f"({digits(rng, 1, 2)})" if rng.random() < 0.5 else f"{'ABCDEFGHKLMNPRTX'[rng.integers(16)]}{digits(rng)}"


def phrase(rng: np.random.Generator, numbers: float) -> str:
    """A word or, with this probability, a number."""
    return number(rng) if rng.random() < numbers else word(rng)
