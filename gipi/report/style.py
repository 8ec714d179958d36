"""How a report looks: one style sheet, for the page and for a notebook's cell. The colours are report/canvas.py's."""

_FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans KR","Apple SD Gothic Neo","Malgun Gothic",sans-serif'

SHEET = f"""
.gipi{{font:15px/1.55 {_FONT};color:var(--ink)}} .gipi *{{box-sizing:border-box}}
body.page{{margin:0;background:var(--page)}} .page main{{max-width:1180px;margin:0 auto;padding:28px 20px 40px}}
.gipi.inside{{background:var(--page);padding:16px;border-radius:12px;max-width:1100px}}
:lang(ko){{word-break:keep-all;overflow-wrap:anywhere}}
.gipi header{{margin:4px 0 18px}}
.gipi h1{{font-size:26px;line-height:1.2;margin:0 0 6px;letter-spacing:-.02em;color:var(--ink);overflow-wrap:anywhere}}
.gipi .facts{{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:2px 0;color:var(--soft)}}
.gipi .facts li{{margin:0}} .gipi .facts li:not(:last-child)::after{{content:"·";margin:0 8px}}
.gipi h2{{font-size:18px;margin:34px 0 12px;letter-spacing:-.01em;color:var(--ink)}}
.gipi h3{{font-size:15px;margin:0 0 8px;color:var(--ink)}} .gipi p{{margin:6px 0}}
.gipi .verdict{{border-radius:14px;padding:18px 22px;background:var(--card);border:1px solid var(--line);
border-left:5px solid var(--accent)}}
.gipi .verdict h2{{font-size:12px;text-transform:uppercase;letter-spacing:.08em;margin:0 0 6px;color:var(--accent)}}
.gipi .verdict .headline{{font-size:19px;line-height:1.4;font-weight:600;margin:0;overflow-wrap:anywhere}}
.gipi .verdict p+p{{color:var(--soft)}}
.gipi .verdict.good{{background:var(--goodbg);border-color:var(--good)}} .gipi .verdict.good h2{{color:var(--good)}}
.gipi .verdict.warn{{background:var(--warnbg);border-color:var(--warn)}} .gipi .verdict.warn h2{{color:var(--warn)}}
.gipi .verdict.bad{{border-color:var(--bad)}} .gipi .verdict.bad h2{{color:var(--bad)}}
.gipi .warning{{border:1px solid var(--warn);background:var(--warnbg);border-radius:10px;padding:10px 14px;
margin:0 0 12px}}
.gipi .tiles{{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:16px 0 6px}}
.gipi .tile{{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:14px 16px;display:flex;
flex-direction:column;min-width:0}}
.gipi .tile .name{{color:var(--soft);font-size:13px;overflow-wrap:anywhere}}
.gipi .tile .value{{font-size:25px;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}}
.gipi .tile .span{{color:var(--soft);font-size:12.5px;font-variant-numeric:tabular-nums}}
.gipi .cards{{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:14px;align-items:start}}
.gipi .card{{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:16px 18px;min-width:0}}
.gipi .wide{{grid-column:1/-1}} .gipi .card svg{{margin:4px auto 0}}
.gipi .note{{color:var(--soft);font-size:13px;margin:0 0 6px}} .gipi .soft{{color:var(--soft)}}
.gipi .card ul{{margin:0;padding-left:18px}} .gipi .card li{{margin:3px 0;overflow-wrap:anywhere}}
.gipi .scroll{{overflow-x:auto}}
.gipi table{{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums;margin:0;border:0}}
.gipi table th,.gipi table td{{text-align:left!important;padding:6px 12px 6px 0;border:0;
border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top;color:var(--ink);background:none}}
.gipi table th{{color:var(--soft);font-weight:500;font-size:12.5px}}
.gipi table tbody tr:nth-child(n){{background:none}} .gipi table tbody tr:last-child td{{border-bottom:0}}
.gipi table .number{{text-align:right!important}} .gipi table .strong td{{font-weight:650}}
.gipi table th:last-child,.gipi table td:last-child{{padding-right:0}}
.page details.card,.gipi .cards+.card{{margin-top:14px}} .gipi summary{{cursor:pointer;font-weight:600}}
.gipi details[open] summary{{margin-bottom:10px}} .gipi details table td{{white-space:normal;overflow-wrap:anywhere}}
.gipi .gallery{{display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:14px}}
.gipi .gallery.pairs{{grid-template-columns:repeat(auto-fill,minmax(212px,1fr))}}
.gipi .pair{{display:grid;grid-template-columns:1fr 1fr;gap:4px}} .gipi img.whole{{display:block;max-width:100%;
margin:4px auto 0;border-radius:8px}}
.gipi figure{{margin:0;font-size:13px;line-height:1.35;overflow-wrap:anywhere}}
.gipi figure img{{width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;border-radius:8px;
background:var(--faint);border:1px solid var(--line);display:block;margin:0 0 5px}}
.gipi .said{{margin:0 0 12px;line-height:1.6;overflow-wrap:anywhere}} .gipi .words{{white-space:pre-wrap}}
.gipi .words mark{{color:inherit;border-radius:3px;padding:1px 0}}
.gipi footer{{color:var(--soft);font-size:12.5px;margin-top:34px}}
@media (max-width:820px){{.gipi .cards{{grid-template-columns:minmax(0,1fr)}} .page main{{padding:18px 12px 30px}}
.gipi h1{{font-size:22px}} .gipi .card{{padding:14px}} .gipi .verdict{{padding:14px 16px}}
.gipi .verdict .headline{{font-size:17px}} .gipi .tiles{{grid-template-columns:repeat(2,minmax(0,1fr));gap:8px}}
.gipi .tile{{padding:10px 12px}} .gipi .tile .value{{font-size:21px}}}}
@media print{{body.page{{background:#fff}} .gipi .card{{break-inside:avoid}}}}
"""
