"""What every page that is made here shares: the shell, the style, sorting of tables, charts as inline SVG."""
