"""Journeys in a real browser, with its script, its focus and its security policy."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from bot.studio.app import build_app
from bot.understanding.meaning import Intent
from data.catalogue import ItemId
from data.events import RuleKind
from data.vocabulary import Allergen, AllergenState
from tests.bot.studio_world import TOKEN, StudioParts, parts_in
from tests.browser.server import chromium, served, studio
from tests.fakes import NOON

TOFU = (
    "Tofu is made from soy beans. The beans are soaked, ground and cooked.\nMiso soup needs tofu."
)
Page = tuple[Any, str, StudioParts]


def wait(driver: Any, until: Callable[[Any], Any]) -> Any:
    return WebDriverWait(driver, 20, ignored_exceptions=[Exception]).until(until)


def sees(driver: Any, words: str) -> None:
    wait(driver, lambda d: words in d.find_element(By.TAG_NAME, "body").text)


def press(driver: Any, label: str, within: str = "main") -> None:
    xpath = f"//{within}//button[contains(normalize-space(.), '{label}')]"
    button = wait(driver, lambda d: d.find_element(By.XPATH, xpath))
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()


def complaints(driver: Any) -> list[str]:
    """What the browser's console holds against us: refused script, missing files, errors."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_conversation_goes_on_in_place_without_loading_the_page_again(page: Page) -> None:
    driver, address, parts = page
    parts.interpreter.means("something crunchy", Intent.RECOMMEND)
    driver.get(f"{address}/chat")
    driver.execute_script("window.stayed = true")

    field = driver.find_element(By.ID, "text")
    field.send_keys("something crunchy", Keys.ENTER)
    sees(driver, "Like 1")
    press(driver, "Like 1")
    sees(driver, "✓ Liked 1")

    assert driver.execute_script("return window.stayed === true")
    assert driver.find_element(By.ID, "text").get_attribute("value") == ""
    sees(driver, "Noted")
    assert complaints(driver) == []


def test_from_paste_to_pin(page: Page) -> None:
    driver, address, parts = page
    driver.get(f"{address}/pairings")
    driver.find_element(By.ID, "title").send_keys("Tofu at home")
    driver.find_element(By.ID, "lesson-text").send_keys(TOFU)

    press(driver, "Find items")
    sees(driver, "What goes with “Tofu at home”")
    assert driver.find_elements(By.TAG_NAME, "mark")
    press(driver, "Save as a lesson")
    sees(driver, "is now a lesson")
    press(driver, "Pin")
    sees(driver, "is pinned.")

    assert [rule.kind for rule in parts.store.rules()] == [RuleKind.PIN]
    assert complaints(driver) == []


def test_a_declared_allergy_moves_the_ranking(page: Page) -> None:
    driver, address, _ = page
    driver.get(f"{address}/pairings")
    driver.find_element(By.ID, "lesson-text").send_keys(TOFU)
    press(driver, "Find items")
    sees(driver, "Firm Tofu")

    driver.find_element(By.CSS_SELECTOR, "form.ask details summary").click()
    box = driver.find_element(By.CSS_SELECTOR, "input[value=soybeans]")
    wait(driver, lambda _: box.is_displayed())
    box.click()
    press(driver, "Find items")

    sees(driver, "with a declared allergen")
    ranked = driver.find_element(By.CSS_SELECTOR, "ol.ranked").text
    assert "Firm Tofu" not in ranked


def test_an_uploaded_chinese_lesson(page: Page, tmp_path: Path) -> None:
    driver, address, _ = page
    file = tmp_path / "豆腐.md"
    file.write_text("# 豆腐的一天\n\n豆腐由大豆制成。味噌汤里要放豆腐和海带。\n", encoding="utf-8")
    driver.get(f"{address}/language/zh?next=/pairings")

    driver.find_element(By.ID, "file").send_keys(str(file))
    press(driver, "查找搭配")

    sees(driver, "与《豆腐的一天》相配的食材")
    assert driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-Hans"
    assert complaints(driver) == []


def test_an_import_with_bad_rows_is_shown_before_it_is_published(
    page: Page, tmp_path: Path
) -> None:
    driver, address, parts = page
    file = tmp_path / "items.csv"
    file.write_text("item_id,name_en,price\nplum,Plum,9.90\npear,Pear,cheap\n,,\n")
    driver.get(f"{address}/catalogue")

    driver.find_element(By.ID, "file").send_keys(str(file))
    press(driver, "Look what it changes")
    sees(driver, "cheap")
    sees(driver, "455 removed")
    assert len(parts.engines.current().catalogue) == 455

    press(driver, "Publish")
    sees(driver, "The new catalogue is in force.")
    assert "plum" in parts.engines.current().catalogue.items_by_id


def test_a_course_from_zip_to_the_preview_of_a_lesson(page: Page, tmp_path: Path) -> None:
    driver, address, _ = page
    file = tmp_path / "慢食.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1 豆腐.md", "# 豆腐的一天\n\n豆腐由大豆制成。味噌汤里要放豆腐和海带。\n")
        archive.writestr("2 tofu.txt", TOFU)
        archive.writestr("clip.mp4", b"-")
    driver.get(f"{address}/pairings")

    driver.find_element(By.ID, "file").send_keys(str(file))
    press(driver, "Find items")
    sees(driver, "2 lessons were read.")
    sees(driver, "clip.mp4 is of another kind")
    driver.find_element(By.LINK_TEXT, "豆腐的一天").click()

    sees(driver, "What goes with “豆腐的一天”")
    assert driver.find_elements(By.TAG_NAME, "mark")
    assert complaints(driver) == []


def test_two_models_are_compared_blind_in_place(page: Page) -> None:
    driver, address, _ = page
    driver.get(f"{address}/pairings?lesson=wok-heat")
    driver.find_element(
        By.XPATH, "//form[contains(@class,'ask')]//summary[contains(.,'blind')]"
    ).click()

    press(driver, "Compare")
    sees(driver, "Which five go better")
    press(driver, "No difference")

    sees(driver, "Which was which")
    sees(driver, "no encoder")
    assert complaints(driver) == []


def test_an_item_is_edited_with_its_mistakes_told_beside_the_fields(page: Page) -> None:
    driver, address, parts = page
    driver.get(f"{address}/catalogue?q=broccoli")
    driver.find_element(By.CSS_SELECTOR, "table.stack th a").click()
    price = wait(driver, lambda d: d.find_element(By.ID, "f-price"))

    price.clear()
    price.send_keys("cheap")
    press(driver, "Save and publish")
    sees(driver, "1 field needs another look")
    price = driver.find_element(By.ID, "f-price")
    told = price.get_attribute("aria-describedby")
    assert "12.90" in driver.find_element(By.ID, told).text

    price.clear()
    price.send_keys("7.70", Keys.ENTER)
    sees(driver, "Saved. The new catalogue is in force.")
    assert str(parts.engines.current().catalogue.items_by_id[ItemId("broccoli")].price) == "7.70"


def test_an_allergen_is_stated_by_keyboard_alone(page: Page) -> None:
    driver, address, parts = page
    driver.get(f"{address}/catalogue/item?id=broccoli")
    radio = driver.find_element(By.CSS_SELECTOR, "input[name=allergen_milk][value=free_from]")
    assert radio.is_selected()

    # One step back from "free from" is "may contain"; the arrow keys choose within the group.
    radio.send_keys(Keys.ARROW_LEFT)
    day = driver.find_element(By.ID, "f-allergens_checked_on")
    driver.execute_script("arguments[0].value = arguments[1]", day, NOON.date().isoformat())
    driver.find_element(By.ID, "f-price").send_keys(Keys.ENTER)

    sees(driver, "Saved. The new catalogue is in force.")
    item = parts.engines.current().catalogue.items_by_id[ItemId("broccoli")]
    assert item.allergen_state(Allergen.MILK) is AllergenState.MAY_CONTAIN


def test_what_is_worked_out_appears_without_reloading(page: Page) -> None:
    driver, address, _ = page
    driver.get(f"{address}/figures")
    driver.find_element(By.LINK_TEXT, "What was learned").click()
    sees(driver, "There is no model yet")

    press(driver, "Work out now")

    # Nobody agreed to learning here, so it ends with the reason.
    sees(driver, "figures need at least 5")
    assert complaints(driver) == []


def test_everything_is_reached_by_keyboard_alone(page: Page) -> None:
    driver, address, parts = page
    parts.interpreter.means("something crunchy", Intent.RECOMMEND)
    driver.get(f"{address}/pairings")

    def tab_to(found: Callable[[Any], bool], limit: int = 80) -> Any:
        for _ in range(limit):
            ActionChains(driver).send_keys(Keys.TAB).perform()
            if found(driver.switch_to.active_element):
                return driver.switch_to.active_element
        raise AssertionError("the keyboard never gets there")

    first = tab_to(lambda element: True)
    assert first.get_attribute("href").endswith("#main")  # the way past the menu comes first
    outline = driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"

    tab_to(lambda e: e.get_attribute("id") == "lesson-text").send_keys(TOFU)
    tab_to(lambda e: e.text == "Find items").send_keys(Keys.ENTER)
    sees(driver, "What goes with")
    wait(driver, lambda d: d.switch_to.active_element.get_attribute("id") == "result")

    tab_to(lambda e: e.text.startswith("Ban everywhere")).send_keys(Keys.SPACE)
    sees(driver, "is banned.")
    assert [rule.kind for rule in parts.store.rules()] == [RuleKind.BAN]


def test_script_in_a_product_name_does_not_run(driver: Any, tmp_path: Path) -> None:
    evil = "<script>window.hit=1</script><img src=x onerror='window.hit=2'>"
    file = tmp_path / "evil.jsonl"
    file.write_text(json.dumps({"item_id": "t", "name_en": f"Tofu {evil}", "tags": "tofu"}) + "\n")
    with studio(tmp_path / "state", catalogue=file) as (address, _):
        driver.get(f"{address}/sign-in")
        driver.delete_all_cookies()
        driver.get(f"{address}/pairings")
        driver.find_element(By.ID, "lesson-text").send_keys(f"Tofu. {evil}")
        press(driver, "Find items")
        sees(driver, "<script>window.hit=1</script>")

        assert driver.execute_script("return window.hit") is None
        driver.get("about:blank")


def test_a_stranger_at_the_door_gets_403_and_a_way_to_sign_in(driver: Any, tmp_path: Path) -> None:
    parts = parts_in(tmp_path, telegram_token=TOKEN, admins=frozenset({1}))
    with served(build_app(parts, public=True)) as address:
        driver.get(f"{address}/figures")
        # The browser is shared, and with it the language that an earlier journey chose.
        driver.delete_all_cookies()
        driver.get(f"{address}/figures")

        status = driver.execute_script(
            "return performance.getEntriesByType('navigation')[0].responseStatus"
        )
        assert status == 403
        assert "Sign in with Telegram" in driver.find_element(By.TAG_NAME, "main").text
        driver.get("about:blank")
    parts.store.close()


@pytest.mark.parametrize("path", ["/chat", "/pairings?lesson=wok-heat", "/catalogue", "/figures",
                                  "/coverage?course=*", "/golden", "/people",
                                  "/catalogue/item?id=broccoli", "/figures/learning"])  # fmt: skip
def test_no_page_is_wider_than_a_phone(path: str, narrow: Page) -> None:
    driver, address, _ = narrow

    driver.get(f"{address}{path}")

    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 390


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with (
        studio(tmp_path_factory.mktemp("narrow")) as (address, parts),
        chromium(width=390, height=844) as driver,
    ):
        yield driver, address, parts


def test_a_page_without_script_does_the_same(tmp_path: Path) -> None:
    with studio(tmp_path) as (address, parts), chromium() as driver:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        driver.get(f"{address}/pairings?lesson=wok-heat")

        driver.find_element(By.XPATH, "//button[.='Pin']").click()

        # Without script the page is loaded anew, and chromedriver may answer between the two.
        sees(driver, "is pinned.")
        assert len(parts.store.rules()) == 1
