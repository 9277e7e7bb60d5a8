print "perl\n";
