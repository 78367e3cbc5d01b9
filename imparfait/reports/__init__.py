"""Reports: one page each that shows a result, opens offline, on a phone, in light and dark."""
