<?php echo "php ", ini_get("precision"), file_exists("README.md") ? " readme" : "", "\n";
