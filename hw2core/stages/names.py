"""The items a stage may be called with, checked against params.yaml."""

from hw2core.errors import UserError
from hw2core.params import ADAPTERS, Pair, Params


def check_domain(params: Params, domain: str) -> None:
    if domain not in params.data.domains:
        raise UserError(f"unknown domain {domain}; data.domains has: {', '.join(params.data.domains)}")


def check_method(method: str) -> None:
    if method not in ADAPTERS:
        raise UserError(f"unknown method {method}; there are: {', '.join(ADAPTERS)}")


def get_pair(params: Params, name: str) -> Pair:
    if name not in params.pairs:
        raise UserError(f"unknown pair {name}; pairs has: {', '.join(params.pairs)}")
    return params.pairs[name]
