"""The pages for people in a real Chromium, over a data directory that looks like one in use."""

from pages.browser import Browser
from pages.inject import inject
from pages.look import LOOKS, look
from pages.seed import Seeded


def pages(tools, binary):
    browser = Browser(tools)
    try:
        seeded = Seeded(binary)
        try:
            look(browser, seeded, LOOKS)
            inject(browser, seeded)
        finally:
            seeded.close()
    finally:
        browser.close()
