"""The recipes: every way in which we break a good payment, each in one thing."""

from collections.abc import Iterator

from conformance.protocols.x402 import _broken_authorization, _broken_envelope
from conformance.protocols.x402.payment import Payment
from conformance.protocols.x402.recipe import Recipe

__all__ = ["RECIPES", "Recipe", "fitting", "named", "sentence"]

RECIPES: tuple[Recipe, ...] = (*_broken_authorization.RECIPES, *_broken_envelope.RECIPES)
"""All of them; not every one fits every payment."""


def named(name: str) -> Recipe:
    """The recipe called ``name``; raises KeyError."""
    return {recipe.name: recipe for recipe in RECIPES}[name]


def fitting(payment: Payment) -> Iterator[Recipe]:
    """The recipes that break this payment."""
    return (recipe for recipe in RECIPES if recipe.fits(payment))


def sentence(name: str) -> str:
    """What is wrong with a payment that was broken by the recipe, or is the hostile field, of that name."""
    found = [recipe.breaks for recipe in RECIPES if recipe.name == name]
    return found[0] if found else f"The payment field is hostile: {name}."
