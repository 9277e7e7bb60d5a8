#pragma once

// Nothing to call: it runs by itself, see early_shield.c.
