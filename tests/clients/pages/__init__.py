"""The pages for people in a real Chromium, over a data directory that looks like one in use."""

from pages import inject, look, managing, pictures, reading, sessions
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


def screenshots(tools, binary, directory):
    """The pictures of the README: the same server, the same pages, a day's history that is made up."""
    seeded = Seeded(binary)
    try:
        pictures.a_day(seeded)
        browser = Browser(tools, pictures.HOST, seeded.base.rsplit(":", 1)[1])
        try:
            pictures.take(browser, seeded, directory)
        finally:
            browser.close()
    finally:
        seeded.close()
