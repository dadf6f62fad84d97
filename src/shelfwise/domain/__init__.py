"""Panel, forecast, calendar, frames, events and errors: the words every other floor speaks."""
