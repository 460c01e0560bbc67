"""Who fits and who would buy: models of firmographics and deals that say when nothing can be ranked (rule A9)."""
