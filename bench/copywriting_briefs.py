"""Briefs made of real catalogues: AdvertiseGen's attribute lists in Chinese, Wish's listings in English.

Prices and offers are ours, by the row's number, so that there are numbers to get wrong; everything else is the data's.
"""

import csv
import json
from pathlib import Path

CHANNELS = ["APP", "WEB", "PUSH", "EMAIL", "SMS", "WECHAT", "WEIBO", "DOUYIN", "ADVERT"]
TONES = {"zh-CN": ["", "", "活泼", "温柔", "专业"], "en": ["", "", "playful", "warm", "professional"]}
ANGLES = {"zh-CN": ["", "", "", "风格", "场合"], "en": ["", "", "", "style", "occasion"]}
BANNED = {"zh-CN": ["时尚", "优雅", "百搭"], "en": ["comfort", "perfect", "style"]}


def offer(row: int, currency: str) -> dict | None:
    kinds = [
        None,
        None,
        {"kind": "OFFER_KIND_COUPON", "percent_off": 15 + row % 4 * 5},
        {"kind": "OFFER_KIND_THRESHOLD_DISCOUNT", "amount_off": money(2000, currency), "min_spend": money(9900, currency)},
        {"kind": "OFFER_KIND_FREE_SHIPPING"},
    ]
    chosen = kinds[row % len(kinds)]
    return chosen and {"offer_id": f"offer-{row % len(kinds)}", **chosen}


def money(minor_units: int, currency: str) -> dict:
    return {"currency_code": currency, "minor_units": str(minor_units)}


def brief(row: int, locale: str, item: dict) -> dict:
    made = {
        "item": item,
        "channel": "CHANNEL_" + CHANNELS[row % len(CHANNELS)],
        "locale": locale,
        "tone": TONES[locale][row // 2 % 5],
        "angle": ANGLES[locale][row // 3 % 5],
        "banned": BANNED[locale][:row % 4],
    }
    given = offer(row, item["price"]["currency_code"])
    return made | ({"offer": given} if given else {})


def advertisegen(file: Path, most: int) -> tuple[list[dict], list[str]]:
    """Briefs, and the text a person wrote for each."""
    briefs, human = [], []
    for row, line in enumerate(file.read_text(encoding="utf-8").splitlines()[:most]):
        record = json.loads(line)
        values: dict[str, list[str]] = {}
        for pair in record["content"].split("*"):
            name, _, value = pair.partition("#")
            values.setdefault(name, []).append(value)
        kind = next((values[name][0] for name in ("衣样式", "裤型", "裙型", "裙长") if name in values), "")
        kind = kind if kind and kind[-1] == values["类型"][0][-1] or kind in ("外套", "衬衫", "卫衣", "风衣", "毛衣", "西装", "T恤") else values["类型"][0]
        looks = [values[name][0] for name in ("颜色", "材质", "风格") if name in values]
        item = {
            "item_id": f"zh-{row}",
            "title": "".join(dict.fromkeys([*looks, kind])),
            "categories": values["类型"],
            "attributes": {name: "、".join(found) for name, found in values.items() if name != "类型"},
            "price": money(5900 + row * 370 % 30000, "CNY"),
        }
        briefs.append(brief(row, "zh-CN", item))
        human.append(record["summary"])
    return briefs, human


def wish(file: Path, most: int) -> list[dict]:
    briefs, seen = [], set()
    with file.open(encoding="utf-8", newline="") as rows:
        for listing in csv.DictReader(rows):
            title = listing["title_orig"].strip()
            if not title or title in seen:
                continue
            seen.add(title)
            item = {
                "item_id": listing["product_id"],
                "title": title,
                "price": money(round(float(listing["price"]) * 100), "EUR"),
                "attributes": {"color": listing["product_color"]} if listing["product_color"] else {},
            }
            briefs.append(brief(len(briefs), "en", item))
            if len(briefs) == most:
                break
    return briefs
