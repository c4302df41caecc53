"""A second opinion on copy, written apart from the generator's guard and sharing nothing with it.

A number is supported if the brief states its value, or an offer's percentage does as what is left of the price (8折).
Banned are the brief's own banned words and the absolutes of China's Advertising Law (2021), articles 9 and 17, with
their English kin, unless the item's own title has them. Lengths are each channel's, as it counts them.
"""

import re
import unicodedata

DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
WORDS = {word: value for value, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve".split())} | {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "thousand": 1000, "dozen": 12}
# A written-out number claims something where one of these follows it.
UNITS_ZH = "折元块毛角分钱倍天年月周小时件套双条款件种层米厘克斤升寸岁码星"
UNITS_EN = "percent|%|off|dollars?|euros?|cents?|bucks?|times|days?|weeks?|months?|years?|hours?|minutes?|packs?|pieces?|colou?rs|sizes|stars"

ABSOLUTES = {
    "zh-CN": ["国家级", "最高级", "最佳", "最好", "最低价", "最便宜", "第一品牌", "销量第一", "全网第一", "顶级", "极致", "唯一",
              "首选", "独一无二", "绝对", "永久", "万能", "治疗", "治愈", "疗效", "减肥", "排毒", "降血压", "抗癌", "保值", "升值"],
    "en": ["best in the world", "world's best", "number one", "#1", "cheapest", "guaranteed", "miracle", "cure", "cures",
           "clinically proven", "risk-free", "lose weight", "fda approved", "bestseller", "award-winning"],
}

# Headline, and headline and body together: as the generator's documentation states them.
LIMITS = {
    ("PUSH", "en"): (50, 150), ("PUSH", "zh-CN"): (20, 60),
    ("EMAIL", "en"): (78, 400), ("EMAIL", "zh-CN"): (40, 200),
    ("SMS", "en"): (60, 160), ("SMS", "zh-CN"): (24, 70),
    ("WECHAT", "en"): (40, 140), ("WECHAT", "zh-CN"): (40, 140),
    ("WEIBO", "en"): (32, 140), ("WEIBO", "zh-CN"): (32, 140),
    ("DOUYIN", "en"): (30, 55), ("DOUYIN", "zh-CN"): (30, 55),
    ("ADVERT", "en"): (30, 120), ("ADVERT", "zh-CN"): (15, 55),
    ("APP", "en"): (60, 200), ("APP", "zh-CN"): (30, 100),
    ("WEB", "en"): (60, 200), ("WEB", "zh-CN"): (30, 100),
}


def plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def chinese_value(numeral: str) -> float:
    if not any(c in SCALES for c in numeral):
        return float("".join(str(DIGITS[c]) for c in numeral))
    total, digit = 0, None
    for c in numeral:
        if c in DIGITS:
            digit = DIGITS[c]
        else:
            total += (1 if digit is None else digit) * SCALES[c]
            digit = None
    return float(total + (digit or 0))


def numbers(text: str) -> list[tuple[str, float]]:
    """Every number a text states, as written and as a value; of numerals in words only those with a unit."""
    text = plain(text)
    found = [(m[0], float(m[0].replace(",", ""))) for m in re.finditer(r"\d+(?:,\d{3})*(?:\.\d+)?", text)]
    for m in re.finditer(rf"([零〇一二两三四五六七八九十百千万]+)(?=[个]?[{UNITS_ZH}])", text):
        # 十分 is "very" but where minutes or a share follow.
        if text.startswith("十分", m.start()) and text[m.start() + 2:m.start() + 3] not in ("钟", "之"):
            continue
        value = chinese_value(m[1])
        # 一件, 一款, 一双: an article, not a count.
        if value != 1 or text[m.end()] == "折":
            found.append((text[m.start():m.end() + 1], value))
    for m in re.finditer(rf"\b({'|'.join(WORDS)})[ -](?={UNITS_EN})", text):
        if m[1] != "one":
            found.append((text[m.start():m.end() + 8], float(WORDS[m[1]])))
    found += [(word, 50.0) for word in ("半价", "half price", "half off", "对折") if word in text]
    return found


def stated(brief: dict) -> set[float]:
    item, offer = brief["item"], brief.get("offer", {})
    texts = [item["title"], item.get("description", ""), *item.get("categories", []), *item.get("attributes", {}).values(),
             *brief.get("reasons", []), *brief.get("must_include", [])]
    values = {value for text in texts for _, value in numbers(text)}
    for amount in (item.get("price"), offer.get("amount_off"), offer.get("min_spend")):
        if amount:
            values.add(int(amount["minor_units"]) / 100)
    if "percent_off" in offer:
        percent = offer["percent_off"]
        values |= {float(percent), (100 - percent) / 10}
    return values


def unsupported(brief: dict, text: str) -> list[str]:
    known = stated(brief)
    return [written for written, value in numbers(text) if not any(abs(value - fact) < 1e-9 for fact in known)]


def forbidden(brief: dict, text: str) -> list[str]:
    text, own = plain(text), plain(brief["item"]["title"] + " ".join(brief["item"].get("attributes", {}).values()))
    words = [word for word in brief.get("banned", []) if plain(word) in text]
    absolutes = [word for word in ABSOLUTES[brief["locale"]] if word not in own]
    bound = (lambda word: rf"(?<![a-z]){re.escape(word)}(?![a-z])") if brief["locale"] == "en" else re.escape
    return words + [word for word in absolutes if re.search(bound(word), text)]


def too_long(brief: dict, headline: str, body: str) -> bool:
    first, total = LIMITS[brief["channel"].removeprefix("CHANNEL_"), brief["locale"]]
    return len(headline) > first or len(headline) + len(body) > total


def grams(text: str, locale: str) -> list[tuple[str, str]]:
    """Pairs of neighbours: characters in Chinese, words in English."""
    units = [c for c in plain(text) if c.isalnum()] if locale == "zh-CN" else re.findall(r"[a-z0-9']+", plain(text))
    return list(zip(units, units[1:]))


def covered(brief: dict, text: str) -> tuple[int, int]:
    """Facts told, and facts there are: attribute values and kinds in Chinese, the title's words in English."""
    text, item = plain(text), brief["item"]
    if brief["locale"] == "zh-CN":
        values = {v for joined in [*item["attributes"].values(), *item["categories"]] for v in joined.split("、")}
        return sum(plain(value) in text for value in values), len(values)
    dull = {"for", "and", "with", "the", "women", "womens", "women's", "new", "fashion", "men", "plus", "size"}
    words = {w for w in re.findall(r"[a-z]{3,}", plain(item["title"])) if w not in dull}
    return sum(w.rstrip("s") in text for w in words), len(words)
