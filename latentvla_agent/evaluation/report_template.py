"""The page of a report: its frame and its style sheet. No script, and nothing is loaded from anywhere."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")

# Colours of agents: Okabe and Ito's palette, which colour-blind people can tell apart, and three more.
STYLE = """:root {
  --page: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d6dbe0; --card: #f6f8fa; --track: #e6eaee;
  --good: #00694a; --bad: #a3230a; --bad-card: #fdeeea;
  --agent-0: #0072b2; --agent-1: #d55e00; --agent-2: #009e73; --agent-3: #b8578f; --agent-4: #c98a00;
  --agent-5: #2f9fd8; --agent-6: #6f4fb0; --agent-7: #86632a; --agent-8: #70757a; --agent-9: #8f8a00;
  --collision: #a50f2d; --ttc: #f0883e; --off-road: #4a90c4; --hit: #d1102f;
  --ground: #eef0ec; --road: #d9dcdf; --lane: #d0d4d8; --connector: #c9ced6; --crossing: #d6d2dc;
  --carpark: #e6dcc6; --route: #8fb8de; --edge: #fff; --center: #6c7f95;
  --vehicle: #66707a; --pedestrian: #a4508b; --bicycle: #3f8f5b; --object: #b49a6a; --ego: #1b1f24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1317; --ink: #e8ecf0; --soft: #9aa5b1; --line: #313a44; --card: #171d23; --track: #29313a;
    --good: #4fd1a1; --bad: #ff9a80; --bad-card: #38201b;
    --agent-0: #4ba9e8; --agent-1: #f5853f; --agent-2: #2cc79a; --agent-3: #e597c5; --agent-4: #f2b633;
    --agent-5: #8fd3f7; --agent-6: #b7a1ea; --agent-7: #c9a566; --agent-8: #aab0b6; --agent-9: #ddd33f;
    --collision: #ff5c77; --ttc: #ffb072; --off-road: #7dbbe8; --hit: #ff5470;
    --ground: #161b1f; --road: #2b3239; --lane: #333b43; --connector: #38414b; --crossing: #37343f;
    --carpark: #3b352a; --route: #2f577d; --edge: #4c5661; --center: #8b9cb0;
    --vehicle: #9aa5b1; --pedestrian: #df8cc5; --bicycle: #6fcf92; --object: #c4a970; --ego: #f4f6f8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; max-width: 75ch; }
.soft, figcaption, dt { color: var(--soft); font-size: .875rem; }
.status { font-weight: 600; padding: .4rem .7rem; border-left: 4px solid; background: var(--card); }
.good { color: var(--good); }
.bad { color: var(--bad); background: var(--bad-card); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; font-size: .875rem; }
code { font-family: ui-monospace, monospace; font-size: .8125rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; min-width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, th.long { text-align: left; }
td.long { white-space: normal; overflow-wrap: anywhere; text-align: left; min-width: 14rem; }
abbr { text-decoration: none; border-bottom: 1px dotted; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .45em; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); gap: .8rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem;
  margin: 0; min-width: 0; }
.card h3 { margin: 0 0 .4rem; }
figure svg { display: block; width: 100%; }
figure img { display: block; width: 100%; border-radius: 4px; margin-top: .4rem; }
figcaption { padding-top: .4rem; overflow-wrap: anywhere; }
figcaption strong { color: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; padding: 0; margin: .5rem 0;
  list-style: none; font-size: .875rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.swatch { width: .9em; height: .9em; border-radius: 2px; }
.chart { max-width: 440px; font-size: 12px; }
.chart text { fill: var(--ink); }
.chart .number { text-anchor: end; font-variant-numeric: tabular-nums; }
.chart .tick { fill: var(--soft); font-size: 10px; }
.chart .gridline { stroke: var(--line); }
.chart .whisker { stroke-width: 3; opacity: .55; }
.track { fill: var(--track); }
.failed { fill: var(--soft); }
.collision { fill: var(--collision); background: var(--collision); }
.ttc { fill: var(--ttc); background: var(--ttc); }
.off_road { fill: var(--off-road); background: var(--off-road); }
.bev { background: var(--ground); border-radius: 4px; }
.key { width: 34px; height: 18px; flex: none; }
.bev path { vector-effect: non-scaling-stroke; fill-rule: evenodd; stroke-linejoin: round; }
.bev .road { fill: var(--road); }
.bev .crossing { fill: var(--crossing); }
.bev .connector { fill: var(--connector); fill-opacity: .6; }
.bev .lane { fill: var(--lane); stroke: var(--edge); stroke-width: .8; }
.bev .carpark { fill: var(--carpark); }
.bev .route { fill: var(--route); fill-opacity: .5; }
.bev .center { fill: none; stroke: var(--center); stroke-width: 1; stroke-dasharray: 6 4; }
.bev .vehicle { fill: var(--vehicle); color: var(--vehicle); }
.bev .pedestrian { fill: var(--pedestrian); color: var(--pedestrian); }
.bev .bicycle { fill: var(--bicycle); color: var(--bicycle); }
.bev .object { fill: var(--object); color: var(--object); }
.bev .future { fill: none; stroke: currentColor; stroke-width: 1.6; opacity: .5; }
.bev .others { fill: var(--hit); fill-opacity: .15; stroke: var(--hit); stroke-width: 1; stroke-dasharray: 3 2; }
.bev .ego { fill: var(--ego); fill-opacity: .3; stroke: var(--ego); stroke-width: 1.5; }
.bev .reference { fill: none; stroke: var(--soft); stroke-width: 2; stroke-dasharray: 1 4; stroke-linecap: round; }
.bev .human { fill: none; stroke: var(--ink); stroke-width: 1.8; stroke-dasharray: 7 4; }
.bev .simulated { fill: none; stroke: var(--agent); stroke-width: 3.5; stroke-opacity: .75; stroke-linecap: round; }
.bev .plan { fill: none; stroke: var(--ink); stroke-width: 1; }
.bev .poses { stroke: var(--ink); stroke-width: 4.5; stroke-linecap: round; }
.bev .side { fill: none; stroke: var(--agent); stroke-width: 2.5; stroke-opacity: .85; stroke-linecap: round; }
.bev .side-poses { stroke: var(--agent); stroke-width: 6; stroke-linecap: round; }
.bev .moment { fill: var(--hit); fill-opacity: .25; stroke: var(--hit); stroke-width: 2.5; }
.bev .label { fill: var(--hit); font-weight: 700; paint-order: stroke; stroke: var(--page);
  stroke-width: .25em; stroke-linejoin: round; }
.bev path.scale { stroke: var(--ink); stroke-width: 2; }
.bev text.scale { fill: var(--ink); }
@media print { .card { break-inside: avoid; } }
"""


def fill_page(title: str, body: str) -> str:
    """The page; `title` and `body` are HTML already."""
    return PAGE.substitute(title=title, style=STYLE, body=body)
