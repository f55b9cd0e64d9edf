"""Who may use the site: users and their passwords, logins, and what every answer is wrapped in."""
