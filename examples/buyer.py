#!/usr/bin/env python3
"""Buys one item of the current sale. Needs nothing but Python 3.9 or later: copy it and change it."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import sys
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

REQUEST_SECONDS_MAX = 10
RELEASE_SECONDS_MAX = 5
BACKOFF_SECONDS_MIN = 0.1
BACKOFF_SECONDS_MAX = 5


class Ended(Exception):
    """Why there is no purchase: the exit status for that, and the code of the problem if it was one."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Shop:
    """The shop, on one connection that is kept open, until a deadline."""

    def __init__(self, url: str, token: str, patience: float) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(parts.netloc, timeout=REQUEST_SECONDS_MAX)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.deadline = time.monotonic() + patience

    def ask(self, method: str, path: str, awaited: str = "", **query: object) -> dict[str, Any]:
        """Asks until the answer is final. What was decided once is answered again, so it may always ask again.

        awaited -- code of a problem that may pass by itself, besides those of 429 and 503
        """
        attempt = 0
        while True:
            pause = random.uniform(0, min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2**attempt))
            try:
                status, retry_after, body = self.send(method, f"{path}?{urlencode(query)}")
                if status == 200:
                    return body
                code = body.get("code", "")
                end = Ended(3 if status in (404, 409, 410) else 1, f"{status} {code}: {body.get('detail')}", code)
                if status != 429 and status < 500 and code != awaited:
                    raise end
                pause += retry_after
            except (OSError, http.client.HTTPException, ValueError) as error:
                # Among others: the connection was idle for too long, or a proxy has no answer either and sends no JSON.
                self.connection.close()
                end = Ended(1, f"no answer ({error or type(error).__name__})")
            # Without the query: a code is a secret.
            self.wait(pause, f"{method} {path}: {end}; asks again in {pause:.1f} s", end)
            attempt += 1

    def wait(self, seconds: float, message: str = "", end: Ended | None = None) -> None:
        """Or ends at once, if it would be too late then."""
        if time.monotonic() + seconds > self.deadline:
            raise end or Ended(1, "the deadline has passed")
        if message:
            say(message)
        time.sleep(seconds)

    def send(self, method: str, target: str) -> tuple[int, float, dict[str, Any]]:
        self.connection.timeout = max(0.1, min(self.deadline - time.monotonic(), REQUEST_SECONDS_MAX))
        if self.connection.sock is not None:
            self.connection.sock.settimeout(self.connection.timeout)
        self.connection.request(method, target, headers=self.headers)
        reply = self.connection.getresponse()
        text, retry_after = reply.read(), reply.headers.get("Retry-After", "")
        if not reply.headers.get_content_type().endswith("json"):
            raise ValueError(f"{reply.status} {reply.reason}, from a proxy?")
        return reply.status, float(retry_after) if retry_after.isdigit() else 0, json.loads(text)


def available_items(shop: Shop) -> list[str]:
    """Some items of the current sale, from a random place: everybody else wants the first ones."""
    while True:
        sale = shop.ask("GET", "/sale")
        for after in (random.randrange(sale["items"]), 0):
            page = shop.ask("GET", "/items", sale=sale["id"], state="available", after=after, limit=20)
            if page["items"]:
                return [item["id"] for item in page["items"]]
        if sale["sold"] == sale["items"]:
            raise Ended(3, f"sale {sale['id']} is sold out")
        shop.wait(random.uniform(1, 2), "all that is left is held; looks again in a second or two")


def hold_item(shop: Shop, user: dict[str, str], item: str) -> dict[str, Any]:
    if item:
        # A held item is free again after Retry-After, if its buyer lets it go.
        return shop.ask("POST", "/checkout", "item_held", **user, id=item)
    while True:
        for choice in available_items(shop):
            try:
                return shop.ask("POST", "/checkout", **user, id=choice)
            except Ended as end:
                # Somebody was quicker, or the sale has just ended: another item will do as well.
                if end.code not in ("item_held", "item_sold", "sale_closed"):
                    raise


def buy(shop: Shop, user: dict[str, str], item: str, think: float) -> dict[str, Any]:
    hold = hold_item(shop, user, item)
    say(f"holds {hold['item_id']} until {hold['expires_at']}")
    try:
        shop.wait(think)
        return shop.ask("POST", "/purchase", code=hold["code"])
    except (KeyboardInterrupt, Ended) as end:
        # The shop has said no: there is nothing left to give back.
        bought = None if isinstance(end, Ended) and end.status == 3 else give_back(shop, hold)
        if bought is None:
            raise
        return bought


def give_back(shop: Shop, hold: dict[str, Any]) -> dict[str, Any] | None:
    """The purchase may have been decided all the same, and its answer be lost: the release tells."""
    shop.connection.close()  # an answer may be half read
    shop.deadline = time.monotonic() + RELEASE_SECONDS_MAX
    try:
        shop.ask("POST", "/release", code=hold["code"])
        say(f"gave {hold['item_id']} back")
    except Ended as end:
        if end.code == "item_purchased":
            return shop.ask("POST", "/purchase", code=hold["code"])
        say(f"could not give {hold['item_id']} back: its hold ends {hold['expires_at']}")
    return None


def say(message: str) -> None:
    print(f"buyer: {message}", file=sys.stderr, flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="buyer",
        description="Buys one item of the current sale and prints the purchase. Ctrl+C gives a held item back.",
        epilog="exit status: 0 purchased, 1 an error or no answer, 2 usage, 3 not to be had, 130 interrupted",
    )
    shop = os.environ.get("HOTCAKES_SHOP", "http://localhost:8080")
    for name, default, text in (
        ("shop", shop, "where the shop is (HOTCAKES_SHOP, or http://localhost:8080)"),
        ("user", "", "whoever buys; a token names its buyer"),
        ("token", os.environ.get("HOTCAKES_TOKEN", ""), "better in HOTCAKES_TOKEN, because others see arguments"),
        ("item", "", "this item; otherwise any that is available"),
        ("think", 0.0, "seconds between checkout and purchase, as paying takes (0)"),
        ("deadline", 60.0, "seconds for all of it (60)"),
    ):
        parser.add_argument(f"--{name}", default=default, type=type(default), help=text)
    options = parser.parse_args()
    if urlsplit(options.shop).scheme not in ("http", "https"):
        parser.error("--shop must be like http://localhost:8080")
    if not options.user + options.token:
        parser.error("--user or --token is needed")
    if not 0 <= options.think < options.deadline:
        parser.error("--think must be shorter than --deadline, which is more than 0")
    return options


def main() -> int:
    options = read_options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shop = Shop(options.shop, options.token, options.deadline)
    try:
        user = {"user_id": options.user} if options.user else {}
        print(json.dumps(buy(shop, user, options.item, options.think), separators=(",", ":")))
        return 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Ended as end:
        say(str(end))
        return end.status


if __name__ == "__main__":
    sys.exit(main())
