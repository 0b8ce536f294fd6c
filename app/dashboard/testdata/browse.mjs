// Opens the pages in a real browser and reports what is wrong with them.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline/promises";
import { join } from "node:path";

const given = JSON.parse(process.argv[2]);
const wrong = [];
const check = (ok, what) => { if (!ok) wrong.push(what); };
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"] });
const look = async (name, width, height, colorScheme) => {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, deviceScaleFactor: 1, timezoneId: "UTC" });
  const page = await context.newPage();
  const ours = (url) => !url.startsWith(given.github + "/"); // the stand-in GitHub is not looked at here
  page.on("console", (message) => {
    const expected = message.text().includes("403") || message.text().includes("ERR_INTERNET_DISCONNECTED");
    if (message.type() === "error" && !expected && ours(message.location().url)) wrong.push(`${name}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`${name}: ${error}`));
  page.on("dialog", (dialog) => { wrong.push(`${name}: a dialog opened: ${dialog.message()}`); void dialog.dismiss(); });
  page.on("request", (request) => { if (ours(request.url()) && !request.url().startsWith(new URL(given.page).origin) && !request.url().startsWith("data:")) wrong.push(`${name}: asks ${request.url()}`); });
  return { name, page, close: () => context.close() };
};
const fits = async ({ name, page }) => {
  const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  check(content <= view, `${name}: scrolls sideways: ${content} > ${view}`);
};
const picture = ({ name, page }) => page.screenshot({ path: join(given.pictures, `${name}.png`), fullPage: true });
const live = ({ name, page }) => page.waitForSelector("#connection[data-at=on]", { timeout: 15000 }).catch(() => wrong.push(`${name}: it is not live`));

const seen = [];
for (const [name, width, height, scheme] of [["phone", 390, 844, "light"], ["wide", 1280, 900, "light"], ["phone-dark", 390, 844, "dark"], ["wide-dark", 1280, 900, "dark"]]) {
  const view = await look(name, width, height, scheme);
  await view.page.goto(given.denied);
  check(await view.page.getByRole("heading", { level: 1 }).innerText() === "Sign in to see this page", `${name}: the refusal`);
  await fits(view);
  if (scheme === "light") await picture({ name: `${name}-refused`, page: view.page });
  await view.page.goto(given.link);
  check(view.page.url() === given.page, `${name}: the address keeps the token: ${view.page.url()}`);
  check(await view.page.locator("section.card h2").count() === 7, `${name}: seven sections`);
  await live(view);
  for (const summary of await view.page.locator("summary").all()) await summary.click();
  await fits(view);
  await picture(view);
  seen.push(view);
}

// Two people come from a check and sign in.
const members = [];
for (const [name, width, height, scheme] of [["phone-signed-in", 390, 844, "dark"], ["wide-signed-in", 1280, 900, "light"]]) {
  const view = await look(name, width, height, scheme);
  await view.page.goto(given.page);
  await view.page.getByRole("link", { name: "Sign in with GitHub" }).click();
  await view.page.getByRole("link", { name: "octo-read" }).click();
  check(view.page.url() === given.page, `${name}: led to ${view.page.url()}`);
  check(await view.page.getByRole("button", { name: "Sign out" }).isVisible(), `${name}: no way to sign out`);
  await live(view);
  await fits(view);
  await view.page.screenshot({ path: join(given.pictures, `${name}.png`) });
  members.push(view);
}

// What a finger has to meet is large enough.
const small = await seen[0].page.evaluate(() => [...document.querySelectorAll("summary, a.open, button, .files a")]
  .filter((e) => e.getBoundingClientRect().height < 40).map((e) => `${e.textContent.trim().slice(0, 30)} ${e.getBoundingClientRect().height}`));
check(small.length === 0, `phone: too small to touch: ${small.join("; ")}`);
const low = await seen[0].page.evaluate(() => [...document.querySelectorAll("a:not(.skip)")]
  .filter((e) => e.getBoundingClientRect().height < 24).map((e) => `${e.textContent.trim().slice(0, 30)} ${e.getBoundingClientRect().height}`));
check(low.length === 0, `phone: links that are too low: ${low.join("; ")}`);

// What is too long for its line stays in its box, and no card leads to its preview twice.
for (const { name, page } of seen) {
  const wide = await page.evaluate(() => [...document.querySelectorAll(".log, .card, .about, dd")].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => `${e.tagName}.${e.className}`));
  check(wide.length === 0, `${name}: wider than its box: ${wide.join("; ")}`);
  const twice = await page.evaluate(() => [...document.querySelectorAll(".card a.open")].filter((e) => e.closest(".card").querySelectorAll(`a[href="${CSS.escape(e.href)}"]`).length > 1).length);
  check(twice === 0, `${name}: ${twice} previews are linked twice in a card`);
}

// A server that is away for a while is asked again.
const away = seen[2];
await away.page.context().setOffline(true);
await away.page.locator("#connection", { hasText: "Not connected" }).waitFor({ timeout: 15000 }).catch(() => wrong.push("nobody says that the server is away"));
await away.page.context().setOffline(false);
await live(away);

// Every part can be reached and opened with the keyboard alone.
const wide = seen[1].page;
await wide.keyboard.press("Tab");
check(await wide.evaluate(() => document.activeElement !== document.body), "the keyboard reaches nothing");
for (const { name, page } of seen) {
  const contrast = await page.evaluate(() => {
    const parse = (color) => color.match(/[\d.]+/g).slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    const luminance = (color) => { const [r, g, b] = parse(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = (element) => { for (let e = element; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(", 0)") && c !== "transparent") return c; } return "rgb(255, 255, 255)"; };
    const poor = [];
    for (const element of document.querySelectorAll("body *")) {
      if (![...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
      const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}: ${element.textContent.slice(0, 30)}`);
    }
    return poor;
  });
  check(contrast.length === 0, `${name}: poor contrast: ${contrast.join("; ")}`);
}

// The world changes, and the pages follow without a reload; what was open stays open.
await wide.evaluate(() => { window.same = true; });
const opened = await wide.locator("details[open]").count();
say({ ready: true });
await lines.next();
for (const { name, page } of seen) {
  await page.locator("section.card", { hasText: "Pull request #42" }).locator("p.state", { hasText: /^Active$/ }).waitFor({ timeout: 15000 })
    .catch(() => wrong.push(`${name}: the change did not arrive`));
}
check(await wide.evaluate(() => window.same === true), "the page was loaded anew");
check(await wide.locator("details[open]").count() === opened, "what was open was closed");
check((await wide.locator("#said").innerText()) === "Pull request #42: Active", "the change is not announced");
// Who may no longer see the page sees it no longer, and need not do anything for it.
for (const { name, page } of members) {
  await page.getByRole("heading", { level: 1, name: "You can't see this page" }).waitFor({ timeout: 15000 }).catch(() => wrong.push(`${name}: still sees the page`));
}
await fits(members[0]);
await picture({ name: "phone-shut-out", page: members[0].page });
await members[1].page.getByRole("button", { name: "Sign out" }).click();
await members[1].page.getByRole("heading", { level: 1, name: "Sign in to see this page" }).waitFor({ timeout: 15000 }).catch(() => wrong.push("signing out does not work"));
for (const view of [...seen, ...members]) await view.close();
await browser.close();
input.close();
say({ wrong });
