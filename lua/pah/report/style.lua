-- style.lua - the style sheet of the report: one column of text, pictures side by side where there is room,
-- tables that scroll inside their own box; light, dark, phone and paper. Colours: plot/theme.lua.
local theme = require "pah.plot.theme"

local sheet = [[
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--surface);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:36px}
h1{font-size:28px;line-height:1.2;font-weight:650;letter-spacing:-.01em;margin:0 0 6px}
h2{font-size:20px;line-height:1.25;font-weight:650;margin:44px 0 12px;padding-top:18px;border-top:1px solid var(--grid)}
h3{font-size:15px;font-weight:650;margin:34px 0 10px}
p{margin:0 0 10px;max-width:95ch}
header p{max-width:none}
small{font-size:.86em;color:var(--muted)}
.quiet{color:var(--muted)}
a{color:var(--accent-1);text-underline-offset:2px}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
nav{margin-top:14px}
nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;margin:0;padding:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:14px 24px;margin:22px 0 0;padding:0}
.tiles div{border-left:2px solid var(--grid);padding-left:12px}
.tiles dt{color:var(--muted);font-size:13px}
.tiles dd{margin:0;font-size:21px;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.35}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:8px 28px;margin:0}
.facts div{min-width:0}
.facts dt{color:var(--muted);font-size:12.5px}
.facts dd{margin:0;font-size:14px;overflow-wrap:anywhere}
details{margin-top:12px}
td details{margin-top:2px}
pre{margin:0;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap}
summary{cursor:pointer;color:var(--muted);font-size:14px}
details>*:not(summary){margin-top:10px}
.findings{list-style:none;margin:0;padding:0;max-width:95ch}
.findings li{display:grid;grid-template-columns:5.4em 1fr;gap:0 10px;padding:9px 0;border-top:1px solid var(--grid)}
.findings li:first-child{border-top:0}
.tag{font-size:12.5px;font-weight:650;line-height:1.9;white-space:nowrap}
.tag::before{content:"";display:inline-block;width:8px;height:8px;border-radius:50%;background:currentColor;
margin-right:6px}
.bad .tag{color:var(--accent-2)}.warn .tag{color:var(--accent-4)}.good .tag{color:var(--accent-3)}
.info .tag{color:var(--muted)}
.findings p{margin:0}.findings .where{color:var(--muted);font-size:13.5px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:30px 36px;margin-top:14px}
figure{margin:0;min-width:0}
figcaption{font-weight:650;font-size:15px;margin-bottom:2px}
figcaption small{display:block;font-weight:400}
svg{display:block;width:100%;height:auto;font-family:inherit}
svg.narrow{display:none}
.scroll{overflow:auto;max-height:75vh;margin:14px 0 22px;border:1px solid var(--grid);border-radius:6px}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:9px 12px;color:var(--muted);font-size:13.5px}
th,td{padding:6px 10px;text-align:left;white-space:nowrap;vertical-align:top}
th{position:sticky;top:0;background:var(--surface);border-bottom:1px solid var(--grid);font-weight:600;font-size:13px}
td{border-bottom:1px solid var(--grid)}
tbody tr:last-child td{border-bottom:0}
tbody tr:hover td{background:var(--band)}
.n{text-align:right}
.failed td:last-child{white-space:normal;min-width:280px}
.bar{display:inline-block;width:64px;height:6px;margin-right:8px;vertical-align:middle;border-radius:3px;
background:linear-gradient(to right,var(--accent-1) calc(100%*var(--part)),var(--grid) 0)}
.terms{display:grid;grid-template-columns:minmax(120px,190px) 1fr;gap:8px 24px;margin:0;font-size:14.5px;max-width:95ch}
.terms dt{font-weight:600}.terms dd{margin:0}
footer{margin-top:56px;padding-top:16px;padding-bottom:36px;color:var(--muted);font-size:13.5px}
@media(max-width:600px){
main,header,footer{padding-left:16px;padding-right:16px}
header{padding-top:22px}
h1{font-size:23px}
svg.wide{display:none}svg.narrow{display:block}
.findings li,.terms{grid-template-columns:1fr;gap:2px}
.terms dd{margin-bottom:8px}
.tiles{grid-template-columns:1fr 1fr}
.tiles dd{font-size:18px}
}
@media print{
body{font-size:11pt}.scroll{max-height:none;overflow:visible;border:0}th{position:static}
figure,li{break-inside:avoid}
}
]]

--- The style sheet as text.
return (":root{color-scheme:light dark;%s}\n@media screen and (prefers-color-scheme:dark){:root{%s}}\n"):format(
  theme.css(theme.light), theme.css(theme.dark)) .. sheet
