"""What turns runs into knowledge: sweeps, the leaderboard, the history of runs, reports."""
