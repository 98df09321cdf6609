"""What every script here has in common: GATEWAY is the address of the gateway, KEY its key, MODELS the models to ask, separated
by commas. The words of each prompt tell the fake provider behind it what to answer."""

import os
import sys
import traceback

from pydantic import BaseModel

URL, KEY, MODELS = os.environ["GATEWAY"], os.environ["KEY"], os.environ["MODELS"].split(",")


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


PARIS = Weather(city="Paris", degrees=21)
SAID = {"city": "Paris", "degrees": 21}


def each(checks):
    """Every check with every model; ends with failure if one of them failed."""
    failed = 0
    for check in checks:
        for model in MODELS:
            try:
                check(model)
                print(f"ok {check.__name__} {model}")
            except Exception:
                failed += 1
                print(f"FAILED {check.__name__} {model}")
                traceback.print_exc(file=sys.stdout)
    sys.exit(bool(failed))
