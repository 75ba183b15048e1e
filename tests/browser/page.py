#!/usr/bin/env python3
"""Opens report pages in headless Chromium and checks them (Python standard library only).

usage: page.py [--shots DIR] [--expect-figures N] [--same-marks FILE] FILE.html...

Talks to the browser through its pipe (DevTools protocol). For every page, at desktop and phone
width, light and dark: nothing on the console, no exception, no request but the page itself, every
figure drawn, nothing wider than the window, contrast of text at least AA, no text that ran as
script. Exit 0 when all holds, 1 with what did not, 77 without a browser.
"""
import argparse, base64, json, os, pathlib, shutil, signal, subprocess, sys, tempfile, time


class Browser:
    def __init__(self):
        exe = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not exe:
            print("skipped: no chromium here; install Debian's chromium to open the report in a browser")
            sys.exit(77)
        self.profile = tempfile.mkdtemp(prefix="mixlaw-chromium-")
        to_r, to_w = os.pipe()
        from_r, from_w = os.pipe()

        def wire():  # the browser reads commands from 3 and writes answers to 4
            os.setsid()
            a, b = os.dup(to_r), os.dup(from_w)  # first out of the way of 3 and 4
            os.dup2(a, 3)
            os.dup2(b, 4)

        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions",
                 "--user-data-dir=" + self.profile, "about:blank"]
        self.process = subprocess.Popen([exe] + flags, preexec_fn=wire, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_r)
        os.close(from_w)
        self.out, self.inp, self.buffer = to_w, from_r, b""
        self.next_id, self.events = 0, []

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            import select
            if not select.select([self.inp], [], [], max(0, deadline - time.time()))[0]:
                raise TimeoutError("the browser did not answer")
            data = os.read(self.inp, 1 << 20)
            if not data:
                raise RuntimeError("the browser ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, timeout=60, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        deadline = time.time() + timeout
        while True:
            m = self.receive(deadline)
            if m.get("id") == self.next_id:
                if "error" in m:
                    raise RuntimeError(f"{method}: {m['error']}")
                return m["result"]
            self.events.append(m)

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


# Runs in the page. Returns what there is to judge, as JSON.
PROBE = r"""
(async () => {
  const out = { drawn: +document.documentElement.dataset.drawn, figures: [], title: document.title,
                owned: typeof window.owned, wide: [], contrast: [], unnamed: 0, headings: [] };
  for (const chart of document.querySelectorAll('.chart')) {
    const svg = chart.querySelector('svg');
    out.figures.push({ id: chart.dataset.figure, marks: svg ? svg.querySelectorAll('.mark-symbol path, .mark-rect path, .mark-line path, .mark-rule line').length : 0,
                       label: chart.getAttribute('aria-label'),
                       nan: svg ? /NaN|undefined|Infinity/.test(svg.outerHTML) : false,
                       scrolls: chart.scrollWidth > chart.clientWidth + 1 });
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    for (const e of document.body.querySelectorAll('*'))
      if (e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, .chart, .doc')) out.wide.push(e.tagName + '.' + e.className);
    out.wide.unshift('page is ' + document.documentElement.scrollWidth);
  }
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const lum = c => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(c.r) + .7152 * f(c.g) + .0722 * f(c.b); };
  const seen = new Set();
  for (const e of document.body.querySelectorAll('p,h1,h2,h3,h4,h5,a,dt,dd,td,th,li,summary,button,.badge,.doc,caption,small')) {
    if (!e.textContent.trim() || !e.getClientRects().length) continue;
    let at = e, back;
    do { back = parse(getComputedStyle(at).backgroundColor); at = at.parentElement; } while (back.a < 1 && at);
    const fore = parse(getComputedStyle(e).color), a = lum(fore), b = lum(back);
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const key = e.tagName + '.' + e.className;
    if (ratio < 4.5 && !seen.has(key)) { seen.add(key); out.contrast.push(key + ' ' + ratio.toFixed(2)); }
  }
  for (const e of document.querySelectorAll('button, a[href], summary'))
    if (!(e.getAttribute('aria-label') || e.textContent).trim()) out.unnamed++;
  out.headings = [...document.querySelectorAll('h1,h2,h3,h4,h5')].map(h => +h.tagName[1]);
  /* Downloads and values: what each button would save, and the table it offers instead. */
  out.saved = {};
  const keep = URL.createObjectURL;
  let last;
  URL.createObjectURL = blob => { last = blob; return '#'; };
  for (const button of document.querySelectorAll('.tools button')) {
    last = undefined;
    button.click();
    for (let i = 0; i < 100 && !last; i++) await new Promise(r => setTimeout(r, 10));
    const id = button.closest('figure').id + ' ' + button.dataset.get;
    const text = last ? await last.text() : '';
    out.saved[id] = { bytes: text.length, start: text.slice(0, 60) };
    if (button.dataset.get === 'svg' && new DOMParser().parseFromString(text, 'image/svg+xml').querySelector('parsererror')) out.saved[id].start = 'not XML';
  }
  URL.createObjectURL = keep;
  history.replaceState(null, '', location.pathname);
  out.tables = 0;
  for (const d of document.querySelectorAll('.tools details')) {
    d.open = true;
    await new Promise(r => setTimeout(r, 20));
    out.tables += d.querySelectorAll('tbody tr').length > 0;
    d.open = false;
  }
  const link = document.querySelector('.tools details a[href^="#run-"]');
  out.anchor = link ? !!document.getElementById(decodeURIComponent(link.getAttribute('href').slice(1))) : null;
  return JSON.stringify(out);
})()
"""


def judge(name, probe, expect, problems):
    def bad(text):
        problems.append(f"{name}: {text}")
    if probe["drawn"] != len(probe["figures"]) or (expect is not None and probe["drawn"] != expect):
        bad(f"{probe['drawn']} of {len(probe['figures'])} figures drawn, {expect} expected")
    for f in probe["figures"]:
        if f["marks"] == 0:
            bad(f"figure {f['id']} has no marks")
        if f["nan"]:
            bad(f"figure {f['id']} has NaN or undefined in it")
        if not f["label"]:
            bad(f"figure {f['id']} has no text for screen readers")
        if f["scrolls"] and f["id"] != "domains":  # a wide table of arms may scroll on a phone
            bad(f"figure {f['id']} is wider than its place")
    if "owned" in probe["title"] and "<script>" not in probe["title"] or probe["owned"] != "undefined":
        bad("text of a document ran as script")
    if probe["wide"]:
        bad("wider than the window: " + ", ".join(probe["wide"][:6]))
    if probe["contrast"]:
        bad("contrast below 4.5: " + ", ".join(probe["contrast"]))
    if probe["unnamed"]:
        bad(f"{probe['unnamed']} controls without a name")
    levels = probe["headings"]
    if levels.count(1) != 1 or any(b > a + 1 for a, b in zip(levels, levels[1:])):
        bad(f"headings skip a level: {levels}")
    for what, saved in probe["saved"].items():
        start = {"csv": "", "svg": "<svg", "json": "{"}[what.split()[1]]
        if saved["bytes"] < 20 or not saved["start"].startswith(start):
            bad(f"download {what} gives {saved}")
    if probe["tables"] != len(probe["figures"]):
        bad(f"{probe['tables']} of {len(probe['figures'])} figures offer their values as a table")
    if probe["anchor"] is False:
        bad("a run in a figure's table leads nowhere")


def open_page(browser, path, width, height, scheme, expect, shots, problems):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    name = f"{path.parent.name}/{path.name} {width}px {scheme}"
    url = path.resolve().as_uri()
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(domain + ".enable", session)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events = []
    browser.call("Page.navigate", session, url=url)
    deadline = time.time() + 60
    while time.time() < deadline:
        ready = browser.call("Runtime.evaluate", session, returnByValue=True,
                             expression="document.documentElement.dataset.drawn || ''")["result"].get("value")
        if ready:
            break
        time.sleep(0.1)
    else:
        problems.append(f"{name}: not drawn after 60 s")
        return
    result = browser.call("Runtime.evaluate", session, expression=PROBE, awaitPromise=True, returnByValue=True)
    if "value" not in result["result"]:
        problems.append(f"{name}: the probe failed: {result}")
        return
    probe = json.loads(result["result"]["value"])
    judge(name, probe, expect, problems)
    for e in browser.events:
        p = e.get("params", {})
        if e["method"] == "Runtime.consoleAPICalled":
            problems.append(f"{name}: console {p['type']}: {[a.get('value', a.get('description')) for a in p['args']]}")
        elif e["method"] == "Runtime.exceptionThrown":
            problems.append(f"{name}: exception: {p['exceptionDetails'].get('exception', {}).get('description', p)}")
        elif e["method"] == "Log.entryAdded":
            problems.append(f"{name}: browser says {p['entry']['level']}: {p['entry']['text']}")
        elif e["method"] == "Network.requestWillBeSent" and p["request"]["url"].split("#")[0] != url:
            problems.append(f"{name}: request to {p['request']['url'][:100]}")
    if shots:
        if path.parent.name != "hostile":
            browser.call("Runtime.evaluate", session, expression="scrollTo(0,0)")
        size = browser.call("Page.getLayoutMetrics", session)["cssContentSize"]
        png = browser.call("Page.captureScreenshot", session, captureBeyondViewport=True,
                           clip={"x": 0, "y": 0, "width": width, "height": min(size["height"], 16000), "scale": 1})
        file = pathlib.Path(shots) / f"{path.parent.name}-{width}-{scheme}.png"
        file.write_bytes(base64.b64decode(png["data"]))
    marks = sum(f["marks"] for f in probe["figures"])
    print(f"{name}: {probe['drawn']} figures, {marks} marks")
    browser.call("Target.closeTarget", targetId=target)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shots")
    parser.add_argument("--expect-figures", type=int)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    a = parser.parse_args()
    browser, problems = Browser(), []
    try:
        for path in a.files:
            for width, height in ((1200, 900), (390, 844)):
                for scheme in ("light", "dark"):
                    open_page(browser, path, width, height, scheme, a.expect_figures, a.shots, problems)
    finally:
        browser.close()
    for p in problems:
        print("FAILED", p)
    return 1 if problems else 0


sys.exit(main())
