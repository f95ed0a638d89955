"""The pages for people in a real Chromium, over a data directory that looks like one in use."""

from pages import inject, look, managing, reading, sessions
from pages.browser import Browser
from pages.seed import Seeded


def pages(tools, binary):
    browser = Browser(tools)
    try:
        seeded = Seeded(binary)
        try:
            look.look(browser, seeded, look.LOOKS)
            reading.reading(browser, seeded)
            sessions.sessions(browser, seeded)
            managing.managing(browser, seeded, tools)
            inject.inject(browser, seeded)
        finally:
            seeded.close()
    finally:
        browser.close()
