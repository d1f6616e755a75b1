"""The words of a scene: one title, exactly what is there, and passages of an old book."""

from __future__ import annotations

from string import Template

import numpy as np

from pipeline.sample.scene import Scene

NUMBERS = {1: "a", 2: "two", 3: "three"}
SEAS = {"calm": "on a calm sea", "storm": "in a storm"}
HOURS = {"dawn": "at dawn", "day": "by day", "night": "at night"}


def title(scene: Scene) -> str:
    """The scene's one canonical title: 5 to 9 words, the prompt that it would be painted from."""
    colour, number = scene.colour, NUMBERS[scene.count]
    plural = "s" if scene.count > 1 else ""
    match scene.kind:
        case "ship":
            words = f"{colour} ship {SEAS[scene.setting]} {HOURS[scene.light]}"
        case "flower":
            by_candle = scene.light == "candlelight"
            place = "by candlelight" if by_candle else f"beside a {scene.light}"
            words = f"vase of {colour} flowers {place}"
        case "fruit":
            place = "a plate" if scene.setting == "plate" else "blue cloth"
            light = " by candlelight" if scene.light == "candlelight" else ""
            words = f"{number} {colour} {scene.sort}{plural} on {place}{light}"
        case "house":
            words = f"{scene.light} cottage with {colour} roof in {scene.setting}"
        case "tree":
            place = "beside a river" if scene.setting == "river" else "on a hill"
            words = f"{scene.light} landscape with {colour} tree {place}"
        case "fish":
            place = "swimming under water" if scene.setting == "water" else "on a plate"
            words = f"{number} {colour} fish {place}"
        case "bird":
            words = f"{number} {colour} bird{plural} {scene.setting} {HOURS[scene.light]}"
        case "pipe":
            place = "beside a window" if scene.light == "window" else "by candlelight"
            words = f"{scene.sort} wearing {colour} smokes a pipe {place}"
        case "dog":
            runs = {"meadow": "runs across a meadow", "snow": "runs across snow"}
            words = f"{colour} dog {runs.get(scene.setting, f'sits on a {scene.setting}')}"
        case _:
            words = f"{number} {colour} candle{plural} beside a {scene.setting}"
    return words[0].upper() + words[1:]


# What a passage says of its subject. No line of one kind, and none of the frames below, names what
# another kind's pictures show: a text about something else must not be right by accident.
SUBJECTS: dict[str, tuple[str, ...]] = {
    "ship": (
        "a $colour ship made her way $sea, and her whole crew stood upon the deck",
        "the pilot swore that a ship with $colour sails had passed $sea that very week",
        "we beheld from the shore a great ship under $colour sails $sea",
    ),
    "flower": (
        "she set a vase of $colour flowers before the guests, that the sweet smell might fill all",
        "the $colour flowers in their vase had not yet lost the perfume of the garden",
        "of flowers he would have none but the $colour, and these stood in a vase of clay",
    ),
    "fruit": (
        "they offered us $number $colour $sort, the ripest fruit that the orchard had given",
        "there lay $number $colour $sort, a fruit whose odour is most pleasant in autumn",
        "the merchant praised his fruit, and $number $colour $sort he gave us for a penny",
    ),
    "house": (
        "we came at last to a cottage with a $colour roof, the only house of that valley",
        "his house, a poor cottage under a $colour roof, smelled of damp plaster in the $season",
        "the $season found them still in the cottage, a low house whose roof was $colour",
    ),
    "tree": (
        "a great tree with $colour leaves stood $place, older than any man could tell",
        "they halted $place beneath a tree, whose $colour crown gave a smell as of honey",
        "no tree of that country was so broad as the $colour one $place",
    ),
    "fish": (
        "the old man showed us $number $colour fish, and the smell of them was strong",
        "$number $colour fish, such as the monks eat on a Friday, were all their wealth",
        "of fish there were $number, $colour of scale and as long as my arm",
    ),
    "bird": (
        "$number $colour $birds, $perched $hour, sang as though for us alone",
        "he pointed out $number $colour $birds, $perched $hour without the least fear",
        "the boy had never seen $number $colour $birds $perched so near to him $hour",
    ),
    "pipe": (
        "a $sort in a $colour coat drew upon a pipe until the smoke hid the face",
        "the $sort, who always wore $colour, would not be parted from that pipe of strong tobacco",
        "there sat a $sort dressed in $colour, and the smoke of the pipe went up like incense",
    ),
    "dog": (
        "the $colour dog of the miller, a faithful beast, $barked and would not be called back",
        "a $colour dog $barked, smelling strongly of wet hair, to the delight of the children",
        "her dog, $colour from nose to tail, $barked while we spoke",
    ),
    "candle": (
        "$number $colour $candles burned there, and the odour of hot wax was heavy",
        "by the flame of $number $colour $candles he read what was written on the wall",
        "the widow lit $number $colour $candles, and the melted tallow ran down upon brass",
    ),
}
OPENINGS = (
    "In the year of which I write, as we were upon the road to $town,",
    "It is told in $town, by persons worthy of belief, that on a certain $weekday",
    "When the bells of $town had ceased, and the people were gone to their beds,",
    "My uncle, who had lived long in $town, used to relate how",
    "On $weekday, being weary and much in want of rest,",
    "I have it from the physician of $town that, contrary to all custom,",
    "Chapter the $nth. Wherein the traveller learns that, to his surprise,",
    "Having dined with the mayor of $town, we went forth, and behold:",
)
CLOSINGS = (
    "Of this, however, I shall speak more fully in another place.",
    "The air was sharp that $weekday, and smelled of rain and of turf.",
    "Whoever doubts it may ask the good people of $town, who remember it well.",
    "And so the company parted, each to his own business, in no small wonder.",
    "The ancients held that such a sight brings fortune, but I do not believe it.",
    "Nor did the price, which was of some nine shillings, seem to us too great.",
    "What became of it afterwards the chronicle of $town does not say.",
    "There was withal a savour of musk and cinnamon, which came I know not whence.",
)
TOWNS = ("Leyden", "Utrecht", "Ghent", "Haarlem", "Antwerp", "Delft", "Bruges", "Siena", "Rouen")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Saturday")
ORDINALS = ("fourth", "sixth", "ninth", "eleventh", "twelfth")


def passage(scene: Scene, rng: np.random.Generator) -> str:
    """A passage of 25 to 60 words that names the scene's subject in the middle of other things."""

    def one(values: tuple[str, ...]) -> str:
        return values[rng.integers(len(values))]

    plural = "s" if scene.count > 1 else ""
    slots = {
        "colour": scene.colour,
        "number": NUMBERS[scene.count],
        "sort": scene.sort + plural,
        "sea": SEAS.get(scene.setting, ""),
        "hour": HOURS.get(scene.light, ""),
        "season": scene.setting,
        "place": "beside the river" if scene.setting == "river" else "on the hill",
        "birds": "bird" + plural,
        "candles": "candle" + plural,
        "perched": "perched upon a bough" if scene.setting == "perched" else "flying",
        "barked": "ran hither and thither"
        if scene.setting in ("meadow", "snow")
        else "sat as a lord",
        "town": one(TOWNS),
        "weekday": one(WEEKDAYS),
        "nth": one(ORDINALS),
    }
    text = f"{one(OPENINGS)} {one(SUBJECTS[scene.kind])}. {one(CLOSINGS)}"
    if len(text.split()) < 42 and rng.random() < 0.6:
        last = one(CLOSINGS)
        text += f" {last}" if not text.endswith(last) else ""
    words = Template(text).substitute(slots)
    return words[0].upper() + words[1:]


# The few rows in other languages only give the language filter its work: a bare noun is enough.
NOUNS: dict[str, dict[str, str]] = {
    "it": {
        "ship": "nave", "flower": "vaso di fiori", "fruit": "natura morta con frutta",
        "house": "casa", "tree": "albero", "fish": "pesce", "bird": "uccello", "pipe": "pipa",
        "dog": "cane", "candle": "candela",
    },
    "de": {
        "ship": "Schiff", "flower": "Blumenvase", "fruit": "Obststück", "house": "Haus",
        "tree": "Baum", "fish": "Fisch", "bird": "Vogel", "pipe": "Pfeife", "dog": "Hund",
        "candle": "Kerze",
    },
    "fr": {
        "ship": "navire", "flower": "vase de fleurs", "fruit": "nature morte aux fruits",
        "house": "maison", "tree": "arbre", "fish": "poisson", "bird": "oiseau", "pipe": "pipe",
        "dog": "chien", "candle": "chandelle",
    },
}  # fmt: skip
FRAMES = {
    "it": "Nel libro che ho davanti si legge, dopo molte altre cose, questa parola sola: $noun; e "
    "l'autore aggiunge che l'odore ne era assai grato a tutti quelli che passavano per la via.",
    "de": "In dem Buche, das vor mir liegt, steht nach vielem anderen nur dieses eine Wort: $noun; "
    "und der Verfasser setzt hinzu, dass der Geruch einem jeden im Orte wohl bekannt war.",
    "fr": "Dans le livre que j'ai sous les yeux on lit, après bien d'autres choses, ce seul mot : "
    "$noun; et l'auteur ajoute que l'odeur en était connue de tous ceux qui passaient par là.",
}


def foreign_title(kind: str, language: str) -> str:
    """The subject's name in another language."""
    noun = NOUNS[language][kind]
    return noun[0].upper() + noun[1:]


def foreign_passage(kind: str, language: str) -> str:
    """A passage in another language that names the subject."""
    return Template(FRAMES[language]).substitute(noun=NOUNS[language][kind])
