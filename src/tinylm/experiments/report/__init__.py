"""One self-contained page of HTML for a run, a sweep or a leaderboard.

series: a run's learning curve, thinned; sections: what a page is made of; sweep_plot: loss against what was swept;
run_page, sweep_page, board_page: which sections each kind of page has; page: the HTML; pictures: the same as PNG.
The look and the interaction are in page.html.j2, report.css and charts.js.
"""
